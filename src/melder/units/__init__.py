"""One file per unit: a score for each pair of a mention and an entity."""
