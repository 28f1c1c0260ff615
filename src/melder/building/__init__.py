"""A knowledge base made, and changed, from entities and a model."""
