"""Entities as a search sees them: an index of their vectors, an index of their names, and which columns they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
from torch import Tensor

from melder.features import Side
from melder.linking.indexes import FiltersTypes, FlatIndex, Index
from melder.linking.indexes.names import NameIndex
from melder.linking.types import Among

__all__ = ["Indexed", "surface_of"]

Vectors = TypeVar("Vectors", Index | None, FlatIndex)


@dataclass(frozen=True)
class Indexed(Generic[Vectors]):
    """Some or all of the entities of a source, by their places in both indexes.

    index: None where the matcher has no vectors; names: None where it compares no names
    columns [n]: of each place; -1 for an entity that is not to be found; None = a place is the column
    filtered: whether these are some of many, so that what an index finds first may be none of them
    """

    index: Vectors
    names: NameIndex | None
    columns: np.ndarray | None = None
    filtered: bool = False

    def only(self, among: Among, entities: int) -> Indexed[Vectors]:
        """The same, in which just these of so many entities are found; by the index itself where it can do that.

        Where an index gives up before it has found enough of them, all count as nearest.
        """
        allowed = np.zeros(entities, dtype=bool)
        allowed[among.columns] = True
        columns = np.arange(entities) if self.columns is None else self.columns
        index: Any = self.index.only(among.types) if isinstance(self.index, FiltersTypes) else self.index
        kept = np.where((columns >= 0) & allowed[columns], columns, -1)
        return replace(self, index=index, columns=kept, filtered=True)

    def nearest(self, queries: Tensor, k: int) -> list[np.ndarray]:
        """Columns of the k entities with the largest inner products, for each query [q, d]."""
        index = self.index
        if index is None:
            return [np.zeros(0, np.int64) for _ in queries]
        if self.columns is None:
            return [found[found >= 0] for found in index.search(queries, k)]
        found = [self._living(partial(_first, index, queries[row : row + 1]), k) for row in range(len(queries))]
        if not self.filtered:
            return found
        every = self.columns[self.columns >= 0]
        return [every if len(each) < min(k, len(every)) else each for each in found]

    def named(self, mention: Side, row: int, k: int) -> np.ndarray:
        """Columns of the k entities whose names look most like a mention's surface."""
        names = self.names
        if names is None:
            return np.zeros(0, np.int64)
        surface = surface_of(mention, row)
        return self._living(lambda count: names.search(*surface, count)[0], k)

    def _living(self, search: Callable[[int], np.ndarray], k: int) -> np.ndarray:
        """The first k that were not removed; `search` gives the best places, as many as it is asked for."""
        count = k
        while True:
            places = search(count)
            places = places[places >= 0]
            columns = places if self.columns is None else self.columns[places]
            living = columns[columns >= 0][:k]
            if len(living) == k or len(places) < count:
                return living
            count *= 2


def _first(index: Index, query: Tensor, k: int) -> np.ndarray:
    """Of one query [1, d]."""
    found: np.ndarray = index.search(query, k)[0]
    return found


def surface_of(mentions: Side, row: int) -> tuple[np.ndarray, np.ndarray]:
    """The n-grams [G] of a mention's surface and their weights."""
    return mentions["lexical.bucket"][row, 0].cpu().numpy(), mentions["lexical.gram"][row, 0].float().cpu().numpy()
