"""Hits@k, mean reciprocal rank and mean rank, each with a 95 % interval.

All of them read the realistic rank r (`melder.metrics.ranks`): hits@k is the share of mentions with r ≤ k, mrr
the mean of 1/r, mr the mean of r. A gold entity that ties for the first two places has r = 1.5, no hit at 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from melder.metrics.bootstrap import mean_intervals
from melder.records import MelderError, Ranks

__all__ = ["FIGURES", "HITS", "Metrics", "metrics", "per_mention"]

HITS = (1, 3, 5, 10, 20)
FIGURES = (*(f"hits@{k}" for k in HITS), "mrr", "mr")

# As in `metrics.json`: each of FIGURES a float, "<figure>_ci" its [low, high]; "candidates" and "mentions" integers.
Metrics = dict[str, Any]


def metrics(ranks: Ranks, candidates: int, seed: int = 0, resamples: int = 1000) -> Metrics:
    """The figures of `ranks` among `candidates` entities, with bootstrap intervals over the mentions.

    Args:
        ranks: Of the gold entities.
        candidates: How many entities were ranked.
        seed: Of the bootstrap.
        resamples: How many are drawn.

    Returns:
        hits@k, mrr and mr, each with its 95 % interval, by name.

    Raises:
        MelderError: There is no mention.
    """
    if not len(ranks):
        raise MelderError("nothing to evaluate: no mention has an answer in the knowledge base; give another split")
    values = per_mention(ranks)
    intervals = mean_intervals(values, seed, resamples)
    result: Metrics = {}
    for figure, value, interval in zip(FIGURES, values.mean(axis=0), intervals, strict=True):
        result[figure] = float(value)
        result[f"{figure}_ci"] = [float(bound) for bound in interval]
    return {**result, "candidates": candidates, "mentions": len(ranks)}


def per_mention(ranks: Ranks) -> npt.NDArray[np.float64]:
    """What each mention adds to each of FIGURES, [mentions, figures]; the figures are the means over the mentions.

    Args:
        ranks: Of the gold entities.

    Returns:
        [mentions, figures].
    """
    rank = ranks.realistic
    hits = [rank <= k for k in HITS]
    return np.stack([*hits, 1 / rank, rank], axis=1).astype(np.float64)
