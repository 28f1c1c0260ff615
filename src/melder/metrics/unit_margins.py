"""What each unit contributes: by how much it sets the gold entity above its strongest rival, in the score's own scale.

The rival of a mention is the other candidate with the best total score. A unit's margin is its part of the gold
entity's score less its part of the rival's; the margins of all units add up to the margin of the score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from melder.metrics.bootstrap import mean_intervals
from melder.records import Candidate, Link, Mention

__all__ = ["UnitMargin", "unit_margins"]

RESAMPLES = 1000


@dataclass(frozen=True)
class UnitMargin:
    """One unit over `mentions`: how often it prefers the gold entity (a tie counts half), and its mean margins.

    `right` is the mean over the mentions whose gold entity comes first, `wrong` over the others; None without any.

    Args:
        prefers: The share of mentions whose gold entity the unit scores higher than its rival.
        prefers_ci: Low and high, 95 %.
        right: Mean margin of the gold entity where it comes first.
        wrong: Where it does not.
        mentions: How many there are.
    """

    prefers: float
    prefers_ci: tuple[float, float]
    right: float | None
    wrong: float | None
    mentions: int


def unit_margins(mentions: Sequence[Mention], links: Sequence[Link]) -> dict[str, UnitMargin]:
    """By unit, over the mentions whose gold entity is among their candidates; empty when no units are told.

    Args:
        mentions: With answers.
        links: Theirs, with candidates whose units are told.

    Returns:
        By the name of the unit.
    """
    pairs = [pair for mention, link in zip(mentions, links, strict=True) for pair in _gold_and_rival(mention, link)]
    units = list(dict.fromkeys(unit for gold, _, _ in pairs for unit in gold.units))
    if not units:
        return {}
    margins = np.array([[gold.units.get(u, 0.0) - rival.units.get(u, 0.0) for u in units] for gold, rival, _ in pairs])
    first = np.array([is_first for _, _, is_first in pairs])
    prefers = (np.sign(margins) + 1) / 2
    intervals = mean_intervals(prefers, 0, RESAMPLES)
    return {
        unit: UnitMargin(
            prefers=float(prefers[:, column].mean()),
            prefers_ci=(float(intervals[column, 0]), float(intervals[column, 1])),
            right=_mean(margins[first, column]),
            wrong=_mean(margins[~first, column]),
            mentions=len(pairs),
        )
        for column, unit in enumerate(units)
    }


def _gold_and_rival(mention: Mention, link: Link) -> Iterator[tuple[Candidate, Candidate, bool]]:
    """The gold candidate, its rival, and whether the gold one comes first; nothing where one of them is not known."""
    gold = [candidate for candidate in link.candidates if candidate.id == mention.answer]
    rivals = [candidate for candidate in link.candidates if candidate.id != mention.answer]
    if gold and rivals:
        yield gold[0], rivals[0], link.candidates[0].id == mention.answer


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
