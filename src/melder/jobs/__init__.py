"""Long work on files: links of a file of mentions, and clusters."""
