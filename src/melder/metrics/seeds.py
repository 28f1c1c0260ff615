"""The mean of a figure over trainings that differ in their seed, and how far seeds let it vary.

    mean ± t(n − 1) · s / √n        s: the standard deviation over n seeds, t: Student's 97.5 % point

It says what other seeds would give on the same mentions. How much other mentions would change a figure it does not say:
that is the bootstrap over mentions (`melder.metrics.bootstrap`), the only interval that one seed has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

__all__ = ["mean_over_seeds"]

QUANTILE = 0.975  # 95 % lie between it and its mirror image


def mean_over_seeds(values: Sequence[float]) -> tuple[float, tuple[float, float] | None]:
    """The mean of a figure of several trainings with its 95 % interval, Student's t.

    Args:
        values: One a training.

    Returns:
        The mean, and (low, high); None for a single training.
    """
    mean = fmean(values)
    if len(values) < 2:
        return mean, None
    from scipy.stats import t  # slow to import, and not needed to link

    half = float(t.ppf(QUANTILE, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return mean, (mean - half, mean + half)
