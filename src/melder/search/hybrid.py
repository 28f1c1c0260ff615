"""Entities as a search sees them: an index of their vectors, an index of their names, and which rows they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar, cast

import numpy as np
from torch import Tensor

from melder.features import Side
from melder.protocols import BatchIndex, FilteringIndex, Index, Nearest, ScoringIndex
from melder.search.filters import EntityFilter
from melder.search.indexes.flat import FlatIndex
from melder.search.indexes.names import NameHits, NameIndex

__all__ = ["Candidates", "HybridIndex", "surface_of"]


class Candidates(NamedTuple):
    """rows [n] of entities; cosines [n] of their names, None where these are not compared; likely [n]: what the
    matcher scores them as far as inner products and names tell, None where the index does not tell products"""

    rows: np.ndarray
    cosines: np.ndarray | None
    likely: np.ndarray | None

    def take(self, places: np.ndarray) -> Candidates:
        return Candidates(*(None if array is None else array[places] for array in self))  # type: ignore[arg-type]


Vectors = TypeVar("Vectors", Index | None, FlatIndex)
Told = TypeVar("Told", np.ndarray, np.ndarray | None)  # products or cosines of places
Surface = tuple[np.ndarray, np.ndarray]  # n-grams [G] and their weights
BestPlaces = Callable[[int], tuple[np.ndarray, Told]]  # of so many, best first


@dataclass(frozen=True)
class HybridIndex(Generic[Vectors]):
    """Some or all of the entities of a source, by their places in both indexes.

    Args:
        index: None where the matcher has no vectors.
        names: None where it compares no names.
        rows: [n], of each place; -1 for an entity that is not to be found; None = a place is the row.
        filtered: Whether these are some of many, so that what an index finds first may be none of them.
    """

    index: Vectors
    names: NameIndex | None
    rows: np.ndarray | None = None
    filtered: bool = False

    def only(self, among: EntityFilter, entities: int) -> HybridIndex[Vectors]:
        """The same, in which just these of so many entities are found; by the index itself where it can do that.

        Where an index gives up before it has found enough of them, all count as nearest.
        """
        allowed = np.zeros(entities, dtype=bool)
        allowed[among.rows] = True
        rows = np.arange(entities) if self.rows is None else self.rows
        index: Any = self.index
        if index is not None and index.filters_types:
            index = cast(FilteringIndex, index).only(among.types)
        allowed_rows = np.where((rows >= 0) & allowed[rows], rows, -1)
        return replace(self, index=index, rows=allowed_rows, filtered=True)

    def candidates(
        self, queries: Tensor, mentions: Side, near: int, named: int, name_weights: Sequence[float]
    ) -> list[Candidates]:
        """Of each mention's vector [m, d] and side: so many of the nearest entities and names.

        Args:
            name_weights: [m], of the cosine of names, where the inner product of vectors has the weight 1.
        """
        nearest = self._nearest(queries, near)
        by_name = self._nearest_names(mentions, [hits.rows for hits in nearest], named)
        return [
            self._joined(query, near_hits, name_hits, weight)
            for query, near_hits, name_hits, weight in zip(queries, nearest, by_name, name_weights, strict=True)
        ]

    def _joined(self, query: Tensor, near: Nearest, name_hits: NameHits | None, name_weight: float) -> Candidates:
        """One mention's, the nearest first."""
        places, products, cosines = near.rows, near.products, None
        if name_hits is not None:
            near_places = set(places.tolist())
            others = np.array([place not in near_places for place in name_hits.rows.tolist()], dtype=bool)
            cosines = np.concatenate([name_hits.of_asked, name_hits.cosines[others]])
            places = np.concatenate([places, name_hits.rows[others]])
        rows = places if self.rows is None else self.rows[places]
        if products is None:
            return Candidates(rows, cosines, None)
        index = cast(ScoringIndex, self.index)  # which an index is that told products; asking takes longer than this
        likely = np.concatenate([products, index.products(query, places[len(products) :])])
        return Candidates(rows, cosines, likely if cosines is None else likely + name_weight * cosines)

    def _nearest_names(self, mentions: Side, near: Sequence[np.ndarray], k: int) -> Sequence[NameHits | None]:
        """For each mention places of the k entities with the nearest names, and cosines, those of other places `near`
        too; mentions of one surface share a search."""
        if self.names is None:
            return [None] * mentions.rows
        hits = list[NameHits | None]([None] * mentions.rows)
        for rows in _by_surface(mentions):
            shared = self._search_names(surface_of(mentions, rows[0]), np.concatenate([near[row] for row in rows]), k)
            ends = np.cumsum([len(near[row]) for row in rows])
            for row, of_row in zip(rows, np.split(shared.of_asked, ends[:-1]), strict=True):
                hits[row] = shared._replace(of_asked=of_row)
        return hits

    def _search_names(self, surface: Surface, near: np.ndarray, k: int) -> NameHits:
        assert self.names is not None
        search = self.names.search
        of_near: list[np.ndarray] = []

        def nearest(count: int) -> tuple[np.ndarray, np.ndarray]:
            best = search(*surface, count, None if of_near else near)
            of_near.append(best.of_asked)
            return best.rows, best.cosines

        return NameHits(*self._living(nearest, k), of_near[0])

    def _nearest(self, queries: Tensor, k: int) -> list[Nearest]:
        """For each query [m, d] the k entities with the largest inner products; rows of the index are places."""
        index = self.index
        if index is None:
            return [Nearest(np.zeros(0, np.int64), None)] * len(queries)
        first: Sequence[Nearest | None] = [None] * len(queries)
        if len(queries) > 1 and getattr(index, "searches_many", False):
            first = cast(BatchIndex, index).search_many(queries, k)
        return [self._nearest_of(query, k, hits) for query, hits in zip(queries, first, strict=True)]

    def _nearest_of(self, query: Tensor, k: int, first: Nearest | None) -> Nearest:
        """Those of one query; `first` are the k that the index found already."""
        index = self.index
        assert index is not None
        nearest = Nearest(*self._living(lambda count: index.search(query, count), k, first))
        if not self.filtered or self.rows is None:
            return nearest
        every = np.flatnonzero(self.rows >= 0)
        if len(nearest.rows) >= min(k, len(every)):
            return nearest
        return Nearest(every, cast(ScoringIndex, index).products(query, every) if index.tells_products else None)

    def _living(
        self, search: BestPlaces[Told], k: int, first: tuple[np.ndarray, Told] | None = None
    ) -> tuple[np.ndarray, Told]:
        """The first k places that were not removed, and what is told of them; `search` gives the best, as many as it is
        asked for, of which the `first` k may be there."""
        count, hits = k, first or search(k)
        while True:
            places, products = hits
            alive = np.ones(len(places), dtype=bool) if self.rows is None else self.rows[places] >= 0
            living = np.flatnonzero(alive)[:k]
            if len(living) >= k or len(places) < count:
                return places[living], None if products is None else products[living]
            count *= 2
            hits = search(count)


def _by_surface(mentions: Side) -> list[list[int]]:
    """The rows of mentions that have the same n-grams."""
    rows: dict[tuple[bytes, bytes], list[int]] = {}
    for row in range(mentions.rows):
        bucket, gram = surface_of(mentions, row)
        rows.setdefault((bucket.tobytes(), gram.tobytes()), []).append(row)
    return list(rows.values())


def surface_of(mentions: Side, row: int) -> Surface:
    """The n-grams [G] of a mention's surface and their weights.

    Args:
        mentions: Their side.
        row: Of one of them.

    Returns:
        Buckets [G] and weights [G], without padding.
    """
    return mentions["lexical.bucket"][row, 0].cpu().numpy(), mentions["lexical.gram"][row, 0].float().cpu().numpy()
