r"""Any search, with exemplars: what it finds by the matcher's scores, and the entities that exemplars speak for.

With s(e) the matcher's score and a(e) what exemplars add, which is known for all entities (0 for most), the k best by
s + a are found without scoring all (the threshold algorithm of Fagin and others, 2001): take the d best by s; whatever
is not among them has at most the last one's score s_d. So only entities with s_d + a(e) above the k-th best sum so far
need to be scored, and once s_d alone is not above that sum, nothing is missing. Otherwise d grows.

As exact as the search below it: with one that finds the d best by s, the answer is that of scoring every entity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from melder.features import Side
from melder.protocols import Matcher
from melder.search.entity_store import SideStore
from melder.search.exemplars.memory import UNIT, ExemplarMemory, without_adjustments
from melder.search.filters import EntityFilter
from melder.search.resolver import Search
from melder.search.topk import TopK
from melder.search.two_stage import best_of, rerank

__all__ = ["ExemplarSearch"]

DEEPER = 4  # times as many of the search's own answers, when those it gave do not settle it
AT_ONCE = 64  # entities that exemplars speak for, scored together


class ExemplarSearch:
    """A search over a source whose matcher's scores `memory` adds to."""

    def __init__(self, search: Search, matcher: Matcher, source: SideStore, memory: ExemplarMemory) -> None:
        self.search, self.matcher, self.source, self.memory = search, matcher, source, memory

    def best(self, mentions: Side, adjustments: Tensor, k: int, among: EntityFilter | None = None) -> list[TopK]:
        """The k best entities, one a mention in order.

        Args:
            mentions: Sides of mentions.
            adjustments: [mentions, e] of the memory's entities.
            among: Only of these entities; None = of all.
        """
        plain, wanted = without_adjustments(mentions), min(k, len(self.source))
        blocks = self.search.best(plain, wanted, among)
        first = [_one(block, row) for block in blocks for row in range(len(block.rows))]
        return [
            self._best(plain.take(slice(row, row + 1)), adjustments[row : row + 1], found, wanted, among)
            for row, found in enumerate(first)
        ]

    def _best(self, mention: Side, adjustments: Tensor, found: TopK, k: int, among: EntityFilter | None) -> TopK:
        allowed = None if among is None else torch.from_numpy(np.isin(self.memory.rows.numpy(), among.rows))
        merging, depth = _Merging(self, mention, adjustments, allowed, k), k
        best = merging.merged(found)
        while not merging.is_settled and depth < len(self.source):
            depth = min(DEEPER * depth, len(self.source))
            best = merging.merged(_one(self.search.best(mention, depth, among)[0], 0))
        return best


class _Merging:
    """One mention's answers put together; `is_settled` after `merged` where no entity can be missing."""

    def __init__(
        self, search: ExemplarSearch, mention: Side, adjustments: Tensor, allowed: Tensor | None, k: int
    ) -> None:
        self.matcher, self.source, self.memory = search.matcher, search.source, search.memory
        self.mention, self.adjustments, self.allowed, self.k = mention, adjustments, allowed, k
        self.is_settled = False
        self._before: tuple[int, float] | None = None

    def merged(self, found: TopK) -> TopK:
        """The k best of those that were found, and of all that exemplars could bring among them."""
        depth = found.rows.shape[1]
        last = float(found.totals[0, -1]) if depth else float("inf")
        parts = [self._with_added(found)]
        waiting, added = self._waiting(found.rows[0])
        while True:
            best = _best(parts, self.k)
            floor = self._floor(best)
            likely = added + last >= floor if depth else torch.ones_like(added, dtype=torch.bool)
            waiting, added = waiting[likely], added[likely]
            if not len(waiting):
                break
            parts.append(self._with_added(self._scored(waiting[:AT_ONCE])))
            waiting, added = waiting[AT_ONCE:], added[AT_ONCE:]
        self.is_settled = last < floor or self._before == (depth, last)
        self._before = depth, last
        return best

    def _waiting(self, found: Tensor) -> tuple[Tensor, Tensor]:
        """The other entities with exemplars, and what these add, the most first."""
        others = ~torch.isin(self.memory.rows, found)
        others = others if self.allowed is None else others & self.allowed
        added, order = self.adjustments[0, others].sort(descending=True, stable=True)
        return self.memory.rows[others][order], added

    def _floor(self, best: TopK) -> float:
        return float(best.totals[0, -1]) if best.rows.shape[1] >= self.k else float("-inf")

    def _scored(self, rows: Tensor) -> TopK:
        ascending = rows.sort().values
        return best_of(self.matcher, ascending, rerank(self.matcher, self.source, self.mention, ascending), len(rows))

    def _with_added(self, found: TopK) -> TopK:
        added = self.memory.added_to(found.rows[0], self.adjustments)
        whole = TopK(1, self.k)
        whole.rows, whole.totals = found.rows, found.totals + added
        whole.parts = {**found.parts, UNIT: added}
        return whole


def _one(block: TopK, row: int) -> TopK:
    """One mention's of a block, without places that hold nothing."""
    single = TopK(1, block.k)
    single.rows, single.totals = block.rows[row : row + 1], block.totals[row : row + 1]
    single.parts = {name: part[row : row + 1] for name, part in block.parts.items()}
    return single


def _best(parts: Sequence[TopK], k: int) -> TopK:
    """The k best of all; of equal totals the lower row first."""
    filled = [part for part in parts if part.rows.shape[1]]
    if not filled:
        return TopK(1, k)
    rows = torch.cat([part.rows[0] for part in filled])
    ascending, order = rows.sort()
    totals = torch.cat([part.totals for part in filled], dim=1)[:, order]
    units = {name: torch.cat([part.parts[name] for part in filled], dim=1)[:, order] for name in filled[0].parts}
    best = TopK(1, k)
    best.update(0, totals, units)
    best.rows = ascending[best.rows]
    return best
