"""Two stages' scores of the same candidates made one, and how much the second is to count.

For the scores s_1 … s_k of a first stage and l_1 … l_k of a second one, the fused score of a candidate is

    (1 - w) * log softmax(s)_i + w * log softmax(l)_i

so that both are log-probabilities over the same k candidates, whatever the scales of s and l. Only w / (1 - w), in
which the scales are, decides the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["WEIGHTS", "StageScores", "fused_parts", "learn_weight", "log_softmax"]

Numbers = npt.NDArray[np.float64]
NAMELESS = 10.0  # how much less likely, as a logarithm, what a stage cannot score is than the least likely that it can
# Weights that are tried: ratios of two from 1/256 to 256, the first stage alone, the second alone.
WEIGHTS = (0.0, *(float(2.0**power / (1 + 2.0**power)) for power in range(-8, 9)), 1.0)


@dataclass(frozen=True)
class StageScores:
    """What both stages say of the candidates of a mention, and which of them is right.

    Args:
        first: [k] scores of the first stage.
        second: [k] scores of the second stage; minus infinity where it cannot say.
        gold: The place of the right candidate, from 0; None = it is not among them.
    """

    first: Numbers
    second: Numbers
    gold: int | None


def fused_parts(first: Numbers, second: Numbers, weight: float) -> tuple[Numbers, Numbers]:
    """What each stage adds to the fused scores [k]; minus infinity counts as less likely than all that is finite.

    Args:
        first: [k] scores of the first stage.
        second: [k] scores of the second stage.
        weight: Of the second stage, 0 to 1.

    Returns:
        Two parts [k], whose sum is the fused scores.
    """
    return (1 - weight) * log_softmax(_finite(first)), weight * log_softmax(_finite(second))


def log_softmax(scores: Numbers) -> Numbers:
    """The log-probabilities that are proportional to the exponentials of some scores.

    Args:
        scores: [k], finite.

    Returns:
        [k] log-probabilities; of no candidates none.
    """
    if not len(scores):
        return scores
    shifted = scores - scores.max()
    logarithms: Numbers = shifted - np.log(np.exp(shifted).sum())
    return logarithms


def learn_weight(mentions: Sequence[StageScores], weights: Sequence[float] = WEIGHTS) -> tuple[float, float]:
    """Of some weights that with which most mentions have the right candidate first, and that share.

    Of weights that are equally good that with the higher mean reciprocal rank wins, then the smaller. Mentions whose
    entity is not among the candidates count as wrong with every weight.

    Args:
        mentions: The scores of both stages for each.
        weights: Those that are tried, 0 to 1.

    Returns:
        The weight, and the share of mentions, 0 to 1, whose first candidate is then right.
    """
    figures = [(*_figures(mentions, weight), -weight) for weight in weights]
    hits, _, negated = max(figures)
    return -negated, hits


def _figures(mentions: Sequence[StageScores], weight: float) -> tuple[float, float]:
    """The share of mentions whose first candidate is right, and the mean reciprocal rank; ties count half."""
    ranks = [_rank(mention, weight) for mention in mentions]
    hits = sum(rank is not None and rank < 1.5 for rank in ranks)  # 1.5 = tied with another one
    reciprocal = sum(0.0 if rank is None else 1 / rank for rank in ranks)
    count = max(1, len(mentions))
    return hits / count, round(reciprocal / count, 9)  # a sum's last bits decide nothing


def _rank(mention: StageScores, weight: float) -> float | None:
    if mention.gold is None:
        return None
    first, second = fused_parts(mention.first, mention.second, weight)
    scores = first + second
    gold = scores[mention.gold]
    return float(1 + (scores > gold).sum() + (scores >= gold).sum()) / 2


def _finite(scores: Numbers) -> Numbers:
    known = np.isfinite(scores)
    floor = scores[known].min() - NAMELESS if known.any() else 0.0
    return np.where(known, scores, floor)
