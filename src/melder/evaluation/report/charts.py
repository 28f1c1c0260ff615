"""Bars: inline SVG in per cent of its place, so that they fit a phone as well as a wide window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from melder.evaluation.report.markup import Markup, element
from melder.records import Ranks

__all__ = ["BINS", "bar", "bin_name", "rank_counts"]

# The first and last rank of each bin of the histogram, finer where linkers differ.
BINS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 20), (21, 100), (101, 1000), (1001, None))


def bar(start: float, stop: float, interval: Sequence[float] | None = None, class_: str = "bar") -> Markup:
    """A bar from `start` to `stop`, shares of the width from 0 to 1, and a line over `interval`.

    Screen readers pass over it: the number always stands beside it.
    """
    low, high = sorted((start, stop))
    shapes = [_rect(0, 1, "track"), _rect(low, high - low, class_)]
    if interval is not None:
        shapes.append(
            element("line", x1=_share(interval[0]), x2=_share(interval[1]), y1="50%", y2="50%", class_="interval")
        )
    return element("svg", *shapes, width="100%", height="14", aria_hidden="true")


def rank_counts(ranks: Ranks) -> dict[str, int]:
    """How many mentions have a realistic rank, rounded up, in each bin; the last bins only as far as any goes."""
    rank = np.ceil(ranks.realistic)
    bins = [(low, high) for low, high in BINS if low <= max(10, rank.max(initial=1))]
    return {bin_name(low, high): int(((rank >= low) & (rank <= (high or np.inf))).sum()) for low, high in bins}


def bin_name(low: int, high: int | None) -> str:
    """What a bin of ranks is called; `high` is null in the last."""
    if high is None:
        return f"over {low - 1:,}"
    return str(low) if low == high else f"{low:,}–{high:,}"


def _rect(start: float, width: float, class_: str) -> Markup:
    return element("rect", x=_share(start), width=_share(width), height="100%", rx="3", class_=class_)


def _share(value: float) -> str:
    return f"{100 * value:.2f}%"
