"""The Reconciliation API 0.2: queries and their answers, properties, data extension, the manifest."""
