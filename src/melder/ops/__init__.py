"""The numerics that units share."""
