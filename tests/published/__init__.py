"""Whole training steps against the published equations, written down again in plain PyTorch."""
