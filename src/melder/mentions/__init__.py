"""Where a text names entities."""
