"""An inverted index of names: from an n-gram to the names that have it, with the lexical unit's own weights.

The cosine of a surface and a name is the sum of the products of their weights over the n-grams that both have, so that
only the postings of the surface's own n-grams are read. Of a million names a tenth have a common pair of letters: a
search reads the rarest n-grams' postings whole, and what the others add is looked up for the best of these names only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from melder.features import Side
from melder.ops.runs import spread
from melder.search.indexes.files import new_directory, open_arrays, save_arrays
from melder.search.indexes.postings import inverted

__all__ = ["NameHits", "NameIndex"]

ARRAYS = ("first", "name", "weight", "owner", "entities")
POSTINGS = 20_000  # of one surface that a search reads whole: a fraction of a millisecond
UNREAD = 0.6  # how long the vector of the n-grams that are not read whole may be, of a surface's of length one
LOOKED_UP = 250  # names, at least, for which the postings of further n-grams are searched


class NameIndex:
    """first [buckets + 1]: where the postings of a bucket begin in `name` and `weight` [postings], names ascending.
    owner [names]: the entity whose name it is, ascending; entities []: how many there are.

    A surface is `bucket` and `gram` [G], as the lexical unit's mention side has them; zeros in `gram` are padding.
    Threads may share it.
    """

    def __init__(
        self, first: np.ndarray, name: np.ndarray, weight: np.ndarray, owner: np.ndarray, entities: np.ndarray
    ) -> None:
        self.first = first
        self.name = name
        self.weight = weight
        self.owner = owner
        self.entities = entities
        self._sums = list[np.ndarray]()  # of zeros, one a name, between searches

    @classmethod
    def build(cls, sides: Iterable[Side], buckets: int) -> NameIndex:
        """Of entity sides of the lexical unit, block after block."""
        return cls(*inverted(sides, buckets))

    @classmethod
    def open(cls, path: Path) -> NameIndex:
        return cls(**open_arrays(path, ARRAYS))

    def save(self, path: Path) -> None:
        with new_directory(path) as partial:
            save_arrays(partial, {name: getattr(self, name) for name in ARRAYS})

    def cosines(self, bucket: np.ndarray, gram: np.ndarray) -> np.ndarray:
        """[entities] float32: the cosine of each one's best name."""
        sums, best = np.zeros(len(self.owner), np.float32), np.zeros(int(self.entities), np.float32)
        for gram_of in self._grams(bucket, gram):
            sums[self.name[gram_of.where]] += gram_of.weight * self.weight[gram_of.where]
        if len(sums):
            named, begins = self._named
            best[named] = np.maximum.reduceat(sums, begins)
        return best

    def search(self, bucket: np.ndarray, gram: np.ndarray, k: int, asked: np.ndarray | None = None) -> NameHits:
        """The at most k entities with the largest cosines above zero, and the cosines of the rows `asked`.

        Where the surface's n-grams have more than `POSTINGS` postings, entities whose names' cosines are below
        `UNREAD` may be missed, and so may those whose names are not among the `LOOKED_UP` best by their rarer n-grams.
        Otherwise the best are found; what is told of a row is always its cosine.
        """
        grams = sorted(self._grams(bucket, gram), key=lambda each: each.size)
        read, sums = _read_whole(grams), self._zeros()
        names = self._add(grams[:read], sums)
        try:
            best = self._likest(names, sums[names], grams[read:], k)
            rows = best if asked is None else np.concatenate([best, asked])
            cosines = self._exact(rows, sums, grams[read:])
        finally:
            sums[names] = 0  # only where something was added: a million zeros take longer than a search
            self._sums.append(sums)
        order = np.lexsort((best, -cosines[: len(best)]))
        return NameHits(best[order], cosines[order], cosines[len(best) :])

    def _grams(self, bucket: np.ndarray, gram: np.ndarray) -> list[_Gram]:
        """The n-grams of a surface that some name has."""
        had = gram > 0
        firsts = self.first[np.stack([bucket[had], bucket[had] + 1])].T.tolist()
        weights = gram[had].tolist()
        return [_Gram(slice(*pair), w) for pair, w in zip(firsts, weights, strict=True) if pair[0] < pair[1]]

    def _add(self, grams: Sequence[_Gram], sums: np.ndarray) -> np.ndarray:
        """Add products of weights to the `sums` [names] of the names that have any of the n-grams, and name these."""
        if not grams:
            return np.zeros(0, self.name.dtype)
        names = np.concatenate([self.name[gram.where] for gram in grams])
        weights = np.concatenate([self.weight[gram.where] for gram in grams])
        factors = np.array([gram.weight for gram in grams], np.float32)
        np.add.at(sums, names, weights * factors.repeat([gram.size for gram in grams]))
        values, marks, order = sums[names], sums.view(np.int32), np.arange(len(names), dtype=np.int32)
        marks[names] = order
        once = np.flatnonzero(marks[names] == order)  # of each name the place that was written last
        names = names[once]
        sums[names] = values[once]
        return names

    def _zeros(self) -> np.ndarray:
        """[names], used before if no other thread has them."""
        try:
            return self._sums.pop()
        except IndexError:
            return np.zeros(len(self.owner), np.float32)

    def _likest(self, names: np.ndarray, cosines: np.ndarray, others: Sequence[_Gram], k: int) -> np.ndarray:
        """The rows of at most k entities, from names and the cosines as far as they are summed up; `others` are
        the n-grams that are looked up for the best of them."""
        wanted = max(LOOKED_UP, 2 * k)  # names, which may be of fewer entities
        while True:
            chosen = _top(cosines, wanted)
            chosen = chosen[np.argsort(names[chosen])]
            candidates = names[chosen]
            order = candidates[np.argsort(-cosines[chosen] - self._looked_up(others, candidates), kind="stable")]
            rows, begins = np.unique(self.owner[order], return_index=True)
            if len(rows) >= k or len(chosen) == len(names):
                return rows[np.argsort(begins)[:k]].astype(np.int64)
            wanted *= 4

    def _exact(self, rows: np.ndarray, sums: np.ndarray, others: Sequence[_Gram]) -> np.ndarray:
        """[rows] float32: the cosine of each one's best name, of which `sums` [names] has the products of weights
        of all n-grams but `others`."""
        first, last = self._first_name[rows], self._first_name[rows + 1]
        place, nth = spread(last - first)
        names = first[place] + nth
        best = np.zeros(len(rows), np.float32)
        np.maximum.at(best, place, sums[names] + self._looked_up(others, names))
        return best

    def _looked_up(self, grams: Sequence[_Gram], names: np.ndarray) -> np.ndarray:
        """[names] float32: the sums of the products of weights over the n-grams that each has of these."""
        sums, names = np.zeros(len(names), np.float32), names.astype(self.name.dtype)  # or all postings are converted
        for gram in grams:
            having = self.name[gram.where]
            place = np.minimum(having.searchsorted(names), gram.size - 1)
            sums += gram.weight * self.weight[gram.where.start + place] * (having[place] == names)
        return sums

    @cached_property
    def _first_name(self) -> np.ndarray:
        """[entities + 1] int32: where the names of each begin."""
        rows = np.arange(int(self.entities) + 1, dtype=self.owner.dtype)
        return self.owner.searchsorted(rows).astype(np.int32)

    @cached_property
    def _named(self) -> tuple[np.ndarray, np.ndarray]:
        """The entities with names, and where the names of each begin."""
        begins = np.flatnonzero(np.diff(self.owner, prepend=-1))
        return self.owner[begins], begins


class NameHits(NamedTuple):
    """rows of entities, best first (equal ones in the order of the knowledge base), and their cosines; of_asked: the
    cosines of the rows that were asked about"""

    rows: np.ndarray
    cosines: np.ndarray
    of_asked: np.ndarray


class _Gram(NamedTuple):
    """An n-gram of a surface: where its postings are, and its weight in the surface."""

    where: slice
    weight: float

    @property
    def size(self) -> int:
        return int(self.where.stop - self.where.start)


def _read_whole(grams: Sequence[_Gram]) -> int:
    """How many of the n-grams, which come with the fewest postings first, a search reads whole.

    A name that has none of them has a cosine of at most the length of the rest.
    """
    if not grams:
        return 0
    squares = np.cumsum([gram.weight**2 for gram in grams])
    few = int(np.searchsorted(np.cumsum([gram.size for gram in grams]), POSTINGS, side="right"))
    return max(few, 1 + int(np.argmax(squares[-1] - squares <= UNREAD**2)))


def _top(values: np.ndarray, count: int) -> np.ndarray:
    """Places of the `count` largest values, and of all that equal the last of them."""
    if count >= len(values):
        return np.arange(len(values))
    least = np.partition(values, len(values) - count)[len(values) - count]
    return np.flatnonzero(values >= least)
