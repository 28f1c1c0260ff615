"""The course of a training: steps, checkpoints, resumption, selection, progress."""
