"""Finding the best entities of many: all of them scored, bounded, or a first stage of vectors and names."""
