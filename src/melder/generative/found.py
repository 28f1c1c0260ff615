"""What decoding finds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

__all__ = ["Found", "Score"]

Score = Literal["mean", "sum"]  # of the log-probabilities of a name's tokens, its end included


@dataclass(frozen=True)
class Found:
    """The names found for one mention, best first.

    Args:
        numbers: [k] of the names in the trie.
        scores: [k] their scores, float64.
        read: How many prefixes the language model read after the prompt.
        exact: No other name scores better.
    """

    numbers: np.ndarray
    scores: np.ndarray
    read: int
    exact: bool

    @classmethod
    def of(cls, scored: list[tuple[float, int]], read: int, *, exact: bool) -> Found:
        """From (score, number), in any order; of equal scores the smaller number first."""
        ranked = sorted(scored, key=lambda each: (-each[0], each[1]))
        numbers, scores = [number for _, number in ranked], [score for score, _ in ranked]
        return cls(np.array(numbers, np.int64), np.array(scores, np.float64), read, exact)

    def with_those(self, other: Found, most: int) -> Found:
        """The best `most` of the names that are here or there."""
        scored = dict(zip(self.numbers.tolist(), self.scores.tolist(), strict=True))
        scored |= dict(zip(other.numbers.tolist(), other.scores.tolist(), strict=True))
        both = Found.of([(score, number) for number, score in scored.items()], self.read + other.read, exact=False)
        return replace(both, numbers=both.numbers[:most], scores=both.scores[:most])
