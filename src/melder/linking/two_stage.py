"""Two stages: candidates from an index of vectors and from the index of names, then the full matcher on these alone.

What neither index finds is never scored, so that the answer may differ from the exact one; how often it does is
measured (`melder.linking.agreement`), never assumed.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from melder.features import Scores, Side
from melder.linking.best import Best
from melder.linking.candidates import dense_vectors
from melder.linking.indexes import Index, build_index
from melder.linking.indexes.names import NameIndex
from melder.linking.model import answering
from melder.linking.sources import Sides
from melder.methods.matcher import UnitMatcher
from melder.records import MelderError

__all__ = ["TwoStage", "best_of", "names_of", "rescored", "surface_of"]

EACH = 64  # candidates from each index, or as many as answers are wanted


class TwoStage:
    """index: of the entities' `dense_vectors`, None where the matcher has none; names: None without a lexical unit"""

    def __init__(
        self, matcher: UnitMatcher, source: Sides, index: Index | None, names: NameIndex | None, each: int = EACH
    ) -> None:
        self.matcher = matcher
        self.source = source
        self.index = index
        self.names = names
        self.each = each
        self.scored = 0

    @classmethod
    def build(cls, matcher: UnitMatcher, source: Sides, backend: str) -> TwoStage:
        """Raises MelderError when the matcher has neither vectors nor names to search by."""
        vectors = torch.cat([dense_vectors(matcher, side, "entity").cpu() for _, side in source.blocks()])
        names, index = names_of(matcher, source), build_index(backend, vectors) if vectors.shape[1] else None
        if names is None and index is None:
            raise MelderError("this method has no vectors and no names to find candidates by: score all entities")
        return cls(matcher, source, index, names)

    def best(self, mentions: Side, k: int) -> list[Best]:
        """One a mention, in order."""
        candidates = self.candidates(mentions, max(k, self.each))
        return [self._best(mentions.take(slice(row, row + 1)), c, k) for row, c in enumerate(candidates)]

    def candidates(self, mentions: Side, each: int) -> list[Tensor]:
        """Ascending columns for each mention: the `each` best by vectors, and by names."""
        found = [[np.zeros(0, np.int64)] for _ in range(mentions.rows)]
        if self.index is not None:
            for row, near in enumerate(self.index.search(dense_vectors(self.matcher, mentions, "mention"), each)):
                found[row].append(near[near >= 0])
        if self.names is not None:
            for row in range(mentions.rows):
                found[row].append(self.names.search(*surface_of(mentions, row), each)[0])
        return [torch.from_numpy(np.unique(np.concatenate(some))) for some in found]

    def _best(self, mention: Side, columns: Tensor, k: int) -> Best:
        self.scored += len(columns)
        return best_of(self.matcher, columns, rescored(self.matcher, self.source, mention, columns), k)


def names_of(matcher: UnitMatcher, source: Sides) -> NameIndex | None:
    """The index of the entities' names; None where the matcher does not compare names."""
    if matcher.lexical is None:
        return None
    return NameIndex.build((side.part("lexical") for _, side in source.blocks()), matcher.lexical.buckets)


def surface_of(mentions: Side, row: int) -> tuple[np.ndarray, np.ndarray]:
    """The n-grams [G] of a mention's surface and their weights."""
    return mentions["lexical.bucket"][row, 0].cpu().numpy(), mentions["lexical.gram"][row, 0].float().cpu().numpy()


def rescored(matcher: UnitMatcher, source: Sides, mention: Side, columns: Tensor) -> Scores:
    """The full scores [1, columns] of one mention and some entities, on the CPU."""
    with answering(matcher):
        return matcher.score(mention, source.side(columns).to(next(matcher.parameters()).device)).cpu()


def best_of(matcher: UnitMatcher, columns: Tensor, scores: Scores, k: int) -> Best:
    """The k best of the scores [1, columns]."""
    best = Best(1, k)
    best.update(0, scores.total, matcher.contributions(scores))
    best.columns = columns[best.columns]
    return best
