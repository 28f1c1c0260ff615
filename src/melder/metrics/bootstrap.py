"""Confidence intervals by resampling mentions (the percentile bootstrap; Efron & Tibshirani 1993, chapter 13)."""

from __future__ import annotations

import numpy as np

__all__ = ["mean_intervals"]

PERCENTILES = (2.5, 97.5)  # what lies between them is the 95 % interval
DRAWS_AT_ONCE = 2_000_000  # a chunk of resamples holds about this many drawn mentions: 16 MB of indices


def mean_intervals(values: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    """95 % intervals of the means of `values` [mentions, figures]: an array [figures, 2] of low and high.

    All figures share each resample. The outcome is a function of the arguments alone.

    Args:
        values: [mentions, figures].
        seed: Of the resamples.
        resamples: How many are drawn.

    Returns:
        An array [figures, 2] of low and high.
    """
    generator = np.random.default_rng(seed)
    at_once = max(1, DRAWS_AT_ONCE // len(values))
    sizes = [min(at_once, resamples - start) for start in range(0, resamples, at_once)]
    means = np.concatenate([_resampled_means(values, size, generator) for size in sizes])
    return np.asarray(np.percentile(means, PERCENTILES, axis=0).T)


def _resampled_means(values: np.ndarray, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """[resamples, figures]. How often each mention was drawn, times the values: one matrix product."""
    mentions = len(values)
    drawn = generator.integers(mentions, size=(resamples, mentions))
    drawn += np.arange(resamples)[:, None] * mentions
    counts = np.bincount(drawn.ravel(), minlength=resamples * mentions).reshape(resamples, mentions)
    return np.asarray(counts.astype(np.float64) @ values / mentions)
