"""Vocabularies that others publish, read as entities: one format a file. Nothing is ever fetched."""
