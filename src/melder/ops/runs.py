"""Runs of unequal lengths, stored one after the other."""

from __future__ import annotations

import numpy as np

__all__ = ["spread"]


def spread(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each thing in runs of some lengths: the run that it is in, and which of the run's it is.

    Args:
        lengths: [n].

    Returns:
        Both [sum of lengths], int64, from 0 on.
    """
    run = np.repeat(np.arange(len(lengths)), lengths)
    return run, np.arange(len(run)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
