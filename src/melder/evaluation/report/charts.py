"""What the bars of a page measure: bins of ranks, and the one axis that the units of several candidates share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from melder.records import Ranks

__all__ = ["BINS", "bin_name", "rank_counts", "unit_axis"]

# The first and last rank of each bin of the histogram, finer where linkers differ.
BINS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 20), (21, 100), (101, 1000), (1001, None))


def rank_counts(ranks: Ranks) -> dict[str, int]:
    """How many mentions have a realistic rank, rounded up, in each bin; the last bins only as far as any goes.

    Args:
        ranks: Of mentions with answers.

    Returns:
        By the names of the bins.
    """
    rank = np.ceil(ranks.realistic)
    bins = [(low, high) for low, high in BINS if low <= max(10, rank.max(initial=1))]
    return {bin_name(low, high): int(((rank >= low) & (rank <= (high or np.inf))).sum()) for low, high in bins}


def bin_name(low: int, high: int | None) -> str:
    """What a bin of ranks is called; `high` is null in the last.

    Args:
        low: The first rank in it.
        high: The last; None = there is no last.

    Returns:
        In words.
    """
    if high is None:
        return f"over {low - 1:,}"
    return str(low) if low == high else f"{low:,}–{high:,}"


def unit_axis(candidates: Iterable[Mapping[str, float]]) -> tuple[float, float]:
    """The lowest value and the width of an axis that holds zero and the units of all candidates.

    Args:
        candidates: What each unit adds, by candidate.

    Returns:
        The lowest value, and the width, which is not 0.
    """
    values = [0.0, *(value for units in candidates for value in units.values())]
    return min(values), (max(values) - min(values)) or 1.0
