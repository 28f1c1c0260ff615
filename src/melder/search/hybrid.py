"""Entities as a search sees them: an index of their vectors, an index of their names, and which columns they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar, cast

import numpy as np
from torch import Tensor

from melder.features import Side
from melder.protocols import FilteringIndex, Index, Nearest, ScoringIndex
from melder.search.filters import EntityFilter
from melder.search.indexes.flat import FlatIndex
from melder.search.indexes.names import NameHits, NameIndex

__all__ = ["Candidates", "HybridIndex", "surface_of"]


class Candidates(NamedTuple):
    """columns [n] of entities; cosines [n] of their names, None where these are not compared; likely [n]: what the
    matcher scores them as far as inner products and names tell, None where the index does not tell products"""

    columns: np.ndarray
    cosines: np.ndarray | None
    likely: np.ndarray | None

    def take(self, places: np.ndarray) -> Candidates:
        return Candidates(*(None if column is None else column[places] for column in self))  # type: ignore[arg-type]


Vectors = TypeVar("Vectors", Index | None, FlatIndex)
Told = TypeVar("Told", np.ndarray, np.ndarray | None)  # products or cosines of places
BestPlaces = Callable[[int], tuple[np.ndarray, Told]]  # of so many, best first


@dataclass(frozen=True)
class HybridIndex(Generic[Vectors]):
    """Some or all of the entities of a source, by their places in both indexes.

    Args:
        index: None where the matcher has no vectors.
        names: None where it compares no names columns [n]: of each place; -1 for an entity that is not to be found;
            None = a place is the column.
        filtered: Whether these are some of many, so that what an index finds first may be none of them.
    """

    index: Vectors
    names: NameIndex | None
    columns: np.ndarray | None = None
    filtered: bool = False

    def only(self, among: EntityFilter, entities: int) -> HybridIndex[Vectors]:
        """The same, in which just these of so many entities are found; by the index itself where it can do that.

        Where an index gives up before it has found enough of them, all count as nearest.
        """
        allowed = np.zeros(entities, dtype=bool)
        allowed[among.columns] = True
        columns = np.arange(entities) if self.columns is None else self.columns
        index: Any = self.index
        if index is not None and index.filters_types:
            index = cast(FilteringIndex, index).only(among.types)
        allowed_columns = np.where((columns >= 0) & allowed[columns], columns, -1)
        return replace(self, index=index, columns=allowed_columns, filtered=True)

    def candidates(self, query: Tensor, mention: Side, near: int, named: int, lexical_weight: float) -> Candidates:
        """Of one mention's vector [1, d] and side: so many of the nearest entities, and of those with the likest names.

        Args:
            lexical_weight: Of the cosine of names, where the inner product of vectors has the weight 1.
        """
        places, products = self._nearest(query[0], near)
        cosines = None
        if self.names is not None:
            likest, near_places = self._likest(mention, places, named), set(places.tolist())
            others = np.array([place not in near_places for place in likest.columns.tolist()], dtype=bool)
            cosines = np.concatenate([likest.of_asked, likest.cosines[others]])
            places = np.concatenate([places, likest.columns[others]])
        columns = places if self.columns is None else self.columns[places]
        if products is None:
            return Candidates(columns, cosines, None)
        index = cast(ScoringIndex, self.index)  # which an index is that told products; asking takes longer than this
        likely = np.concatenate([products, index.products(query[0], places[len(products) :])])
        return Candidates(columns, cosines, likely if cosines is None else likely + lexical_weight * cosines)

    def _likest(self, mention: Side, near: np.ndarray, k: int) -> NameHits:
        """Places of the k entities with the likest names, and cosines, those of other places `near` too."""
        assert self.names is not None
        search, surface = self.names.search, surface_of(mention, 0)
        of_near: list[np.ndarray] = []

        def likest(count: int) -> tuple[np.ndarray, np.ndarray]:
            best = search(*surface, count, None if of_near else near)
            of_near.append(best.of_asked)
            return best.columns, best.cosines

        return NameHits(*self._living(likest, k), of_near[0])

    def _nearest(self, query: Tensor, k: int) -> Nearest:
        """The k entities with the largest inner products with a query [d]; columns of the index are places here."""
        index = self.index
        if index is None:
            return Nearest(np.zeros(0, np.int64), None)
        nearest = Nearest(*self._living(lambda count: index.search(query, count), k))
        if not self.filtered or self.columns is None:
            return nearest
        every = np.flatnonzero(self.columns >= 0)
        if len(nearest.columns) >= min(k, len(every)):
            return nearest
        return Nearest(every, cast(ScoringIndex, index).products(query, every) if index.tells_products else None)

    def _living(self, search: BestPlaces[Told], k: int) -> tuple[np.ndarray, Told]:
        """The first k places that were not removed, and what is told of them; `search` gives the best, as many as it is
        asked for."""
        count = k
        while True:
            places, products = search(count)
            alive = np.ones(len(places), dtype=bool) if self.columns is None else self.columns[places] >= 0
            living = np.flatnonzero(alive)[:k]
            if len(living) >= k or len(places) < count:
                return places[living], None if products is None else products[living]
            count *= 2


def surface_of(mentions: Side, row: int) -> tuple[np.ndarray, np.ndarray]:
    """The n-grams [G] of a mention's surface and their weights."""
    return mentions["lexical.bucket"][row, 0].cpu().numpy(), mentions["lexical.gram"][row, 0].float().cpu().numpy()
