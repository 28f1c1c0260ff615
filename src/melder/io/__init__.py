"""Files: written whole or not at all, locked, checked, read record by record; knows nothing of entities or mentions."""
