"""The bytes of a segment: arrays, how they are packed, and records."""
