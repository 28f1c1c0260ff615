"""The rank of the gold entity among all candidates, exact, with ties told apart.

For a mention whose gold entity scores g among the scores s_1 … s_e of all candidates (the gold one included),

    optimistic  = 1 + #{j : s_j > g}        the gold entity stands before everything that it ties with
    pessimistic = #{j : s_j >= g}           … and behind everything that it ties with
    realistic   = (optimistic + pessimistic) / 2, the expected rank when ties are broken at random.

Both are counts, so that candidates can be seen tile by tile and the matrix of all scores is never held. Two scores
tie when their floating-point numbers are equal. The definitions are PyKEEN's (`pykeen/evaluation/ranks.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from melder.records import MelderError, Ranks

__all__ = ["RankCounter", "join", "rank_among", "rank_of"]


def rank_of(scores: Tensor, gold: Tensor) -> Ranks:
    """Ranks of the entities `gold` [mentions] (their places) by `scores` [mentions, entities].

    Args:
        scores: [mentions, entities].
        gold: [mentions], int64.

    Returns:
        The ranks.

    Raises:
        MelderError: A score is not a number.
    """
    counter = RankCounter(scores.gather(1, gold[:, None]).squeeze(1))
    counter.update(scores)
    return counter.ranks()


def rank_among(scores: Sequence[float] | np.ndarray, gold: int) -> tuple[int, int]:
    """The optimistic and the pessimistic rank of one candidate among the few that a mention has.

    Args:
        scores: Of all of them, [candidates].
        gold: The place of the right one in `scores`.

    Returns:
        Both ranks, from 1 on.
    """
    values = np.asarray(scores)
    return 1 + int((values > values[gold]).sum()), int((values >= values[gold]).sum())


class RankCounter:
    """Ranks from tiles of scores that together hold each candidate once, the gold one too.

    `gold_scores` [mentions] must be the very numbers that stand in the tiles: the same sum in another order can
    differ in its last bit, and the gold entity would then no longer tie with itself (`ranks` refuses that).

    Args:
        gold_scores: [mentions].
    """

    def __init__(self, gold_scores: Tensor) -> None:
        _refuse_nan(gold_scores)
        self._gold = gold_scores[:, None]
        self._better = torch.zeros(len(gold_scores), dtype=torch.int64, device=gold_scores.device)
        self._as_good = torch.zeros_like(self._better)

    def update(self, scores: Tensor) -> None:
        """Count a tile [mentions, some of the entities]; raises MelderError when a score is not a number."""
        _refuse_nan(scores)
        self._better += (scores > self._gold).sum(dim=1)
        self._as_good += (scores >= self._gold).sum(dim=1)

    def ranks(self) -> Ranks:
        """The ranks by all tiles so far; raises ValueError when a gold entity was in none of them."""
        unseen = int((self._as_good <= self._better).sum())
        if unseen:
            raise ValueError(f"the gold scores of {unseen} mentions are not among the scores that were counted")
        return Ranks((self._better + 1).cpu().numpy(), self._as_good.cpu().numpy())


def join(parts: Sequence[Ranks]) -> Ranks:
    """Ranks of several blocks of mentions, one after the other.

    Args:
        parts: Blocks in the order of their mentions.

    Returns:
        The ranks of all.
    """
    none = np.zeros(0, np.int64)
    optimistic = np.concatenate([none, *(ranks.optimistic for ranks in parts)])
    return Ranks(optimistic, np.concatenate([none, *(ranks.pessimistic for ranks in parts)]))


def _refuse_nan(scores: Tensor) -> None:
    count = int(torch.isnan(scores).sum())
    if count:
        raise MelderError(
            f"{count:,} of {scores.numel():,} scores are not a number (NaN), so nothing can be ranked: "
            "the weights or features hold NaN; train again with a lower learning rate or in float32"
        )
