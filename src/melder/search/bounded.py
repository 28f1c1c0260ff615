r"""Certified search: exact answers without scoring every entity, by a bound that no pair's score exceeds.

    s(m, e) ≤ ⟨a_m, b_e⟩ + w cos(m, e)

a and b are what the units hand out as bounds (`melder.protocols.Bounded`): their inner-product parts, and a coordinate
for the most that the rest can be. The cosine of names is computed for all entities by the index of names, so that it is
no bound but the number itself. Errors of what is stored and of the arithmetic are added (`FlatIndex.upper_bounds`).

Entities are scored in the order of their bounds, until the next bound is below the k-th best score: nothing behind
it can be among the k best. In the same way the rank of an entity needs the scores only of those whose bound is not
below its own score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from melder.features import Scores, Side
from melder.metrics.ranks import RankCounter, join
from melder.protocols import Counting, Matcher
from melder.records import Ranks
from melder.runs.model import answering
from melder.search.candidates import name_weights
from melder.search.entity_store import SideStore
from melder.search.filters import EntityFilter
from melder.search.hybrid import HybridIndex, surface_of
from melder.search.indexes.flat import FlatIndex
from melder.search.topk import TopK
from melder.search.two_stage import best_of, collect_index_inputs, rerank

__all__ = ["CERTIFIED_FROM", "BoundedSearch"]

CERTIFIED_FROM = 2000  # entities: of so many, scoring only those that could be ahead is the faster way to exact ranks
FIRST = 32  # entities scored at first, at least; then four times as many each time
AT_ONCE = 4096  # entities scored together for a rank: what their sides take stays within some dozen megabytes
ROUNDED = 1e-5  # of a cosine that is summed up in float32


class UpperBounds(NamedTuple):
    """values [entities]: at least the scores; cosines [entities] of their names, None where these are not compared"""

    values: Tensor
    cosines: Tensor | None


class BoundedSearch:
    """The search; fulfils `melder.search.resolver.Search`, and ranks exactly too.

    Args:
        matcher: Whose units have bounds.
        source: The entities.
        parts: Who together are all entities; indexes of their bounds and names.

    Attributes:
        scored: How many pairs were scored since it was made.
    """

    def __init__(self, matcher: Matcher, source: SideStore, parts: Sequence[HybridIndex[FlatIndex]]) -> None:
        self.matcher = matcher
        self.source = source
        self.parts = parts
        self.scored = 0

    @classmethod
    def build(cls, matcher: Matcher, source: SideStore, counting: Counting | None = None) -> BoundedSearch:
        """Raises MelderError when a unit of the matcher has no bound."""
        return cls(matcher, source, [cls.indexed(matcher, source, "flat", counting)])

    @classmethod
    def indexed(
        cls, matcher: Matcher, source: SideStore, index: str, counting: Counting | None = None
    ) -> HybridIndex[FlatIndex]:
        """All entities of the source, whose places are the rows there; the index is always flat."""
        vectors, names = collect_index_inputs(matcher, source, lambda side: cls.entity_vectors(matcher, side), counting)
        return HybridIndex(FlatIndex.build(vectors), names)

    @staticmethod
    def entity_vectors(matcher: Matcher, side: Side) -> Tensor:
        """[n, b]: the bounds."""
        with answering(matcher):
            return matcher.entity_bounds(side)

    def best(self, mentions: Side, k: int, among: EntityFilter | None = None) -> list[TopK]:
        """One a mention, in order: what scoring all entities, or those `among` which it is to be, gives."""
        queries = self._queries(mentions)
        return [self._best(mentions.take(slice(row, row + 1)), query, k, among) for row, query in enumerate(queries)]

    def ranks(self, mentions: Side, gold: Tensor) -> Ranks:
        """The exact ranks of the rows `gold` [mentions]."""
        queries, pairs = self._queries(mentions), list[Ranks]()
        for row, query in enumerate(queries):
            pairs.append(self._rank(mentions.take(slice(row, row + 1)), query, gold[row : row + 1]))
        return join(pairs)

    def _queries(self, mentions: Side) -> Tensor:
        with answering(self.matcher):
            return self.matcher.mention_bounds(mentions)

    def upper_bounds(self, mention: Side, query: Tensor) -> UpperBounds:
        """At least the scores of one mention."""
        (weight,) = name_weights(self.matcher, mention)
        if len(self.parts) == 1 and self.parts[0].rows is None:
            return self._upper_bounds(self.parts[0], mention, query, weight)
        values, pieces = torch.full((len(self.source),), float("-inf")), list[tuple[np.ndarray, Tensor]]()
        for index in self.parts:
            rows = np.arange(len(index.index)) if index.rows is None else index.rows
            living, bounds = rows >= 0, self._upper_bounds(index, mention, query, weight)
            values[rows[living]] = bounds.values[living]
            if bounds.cosines is not None:
                pieces.append((rows[living], bounds.cosines[living]))
        if len(pieces) < len(self.parts):
            return UpperBounds(values, None)
        cosines = torch.zeros(len(self.source))
        for rows, piece in pieces:
            cosines[rows] = piece
        return UpperBounds(values, cosines)

    def _upper_bounds(
        self, part: HybridIndex[FlatIndex], mention: Side, query: Tensor, name_weight: float
    ) -> UpperBounds:
        """Those of a part, by place."""
        values = part.index.upper_bounds(query)
        if part.names is None or self.matcher.lexical is None:
            return UpperBounds(values, None)
        cosines = torch.from_numpy(part.names.cosines(*surface_of(mention, 0)))
        return UpperBounds(values.add_(cosines, alpha=name_weight).add_(name_weight * ROUNDED), cosines)

    def _best(self, mention: Side, query: Tensor, k: int, among: EntityFilter | None) -> TopK:
        (bounds, cosines), rows, scored = self.upper_bounds(mention, query), list[Tensor](), list[Scores]()
        if among is not None:
            chosen = torch.from_numpy(among.rows)
            bounds = torch.full_like(bounds, float("-inf")).index_copy_(0, chosen, bounds[chosen])
        floor, step = float("-inf"), max(FIRST, 2 * k)
        while True:
            top = bounds.topk(min(step, len(bounds)))
            likely = top.indices[(top.values >= floor) & (top.values > float("-inf"))]
            if not len(likely):
                break
            rows.append(likely)
            scored.append(self._scored(mention, likely, cosines))
            bounds[likely] = float("-inf")
            totals = torch.cat([scores.total for scores in scored], dim=1)[0]
            floor = float(totals.topk(k).values[-1]) if len(totals) >= k else floor
            step *= 4
        if not rows:
            return TopK(1, k)
        ascending, order = torch.cat(rows).sort()
        return best_of(self.matcher, ascending, _joined(scored).take(order), k)

    def _rank(self, mention: Side, query: Tensor, gold: Tensor) -> Ranks:
        bounds, cosines = self.upper_bounds(mention, query)
        near = bounds >= self._scored(mention, gold, cosines).total[0]
        near[gold] = False
        # The gold entity is scored again with others, for the bits of a score may depend on those it is computed with.
        rows = torch.cat([gold, near.nonzero().flatten()])
        tiles = [rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE)]
        totals = torch.cat([self._scored(mention, tile, cosines).total for tile in tiles], dim=1)
        counter = RankCounter(totals[:, 0])
        counter.update(totals)
        return counter.ranks()

    def _scored(self, mention: Side, rows: Tensor, cosines: Tensor | None) -> Scores:
        self.scored += len(rows)
        names = None if cosines is None else cosines[None, rows]
        return rerank(self.matcher, self.source, mention, rows, names)


def _joined(found: list[Scores]) -> Scores:
    parts = {name: torch.cat([scores.parts[name] for scores in found], dim=1) for name in found[0].parts}
    return Scores(torch.cat([scores.total for scores in found], dim=1), parts, found[0].weights)
