"""A run, the directory that a training leaves behind: its configuration, model and stored features."""
