"""Experiments: rows of a table, each trained with several seeds, evaluated and compared."""
