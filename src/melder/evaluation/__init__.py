"""Ranks, metrics, the name-match baseline, predictions and the report: what a linker is worth on a split."""
