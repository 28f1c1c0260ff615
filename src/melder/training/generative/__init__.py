"""Training a generative method: its mapper, its prompts, its module."""
