"""Parts for Melder from another package."""
