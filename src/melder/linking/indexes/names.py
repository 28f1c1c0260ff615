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
from melder.linking.indexes.files import new_directory, open_arrays, save_arrays

__all__ = ["Likest", "NameIndex"]

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
        postings, owners, entities, names = list[_Postings](), list[np.ndarray](), 0, 0
        for side in sides:
            block, owner = _postings(side)
            postings.append(block._replace(name=block.name + names))
            owners.append(owner + entities)
            names, entities = names + len(owner), entities + side.rows
        owner = np.concatenate([np.zeros(0, np.int32), *owners])
        return cls(*_inverted(postings, buckets), owner, np.array(entities, dtype=np.int64))

    @classmethod
    def open(cls, path: Path) -> NameIndex:
        return cls(**open_arrays(path, ARRAYS))

    def save(self, path: Path) -> None:
        with new_directory(path) as part:
            save_arrays(part, {name: getattr(self, name) for name in ARRAYS})

    def cosines(self, bucket: np.ndarray, gram: np.ndarray) -> np.ndarray:
        """[entities] float32: the cosine of each one's best name."""
        sums, best = np.zeros(len(self.owner), np.float32), np.zeros(int(self.entities), np.float32)
        for gram_of in self._grams(bucket, gram):
            sums[self.name[gram_of.where]] += gram_of.weight * self.weight[gram_of.where]
        if len(sums):
            named, begins = self._named
            best[named] = np.maximum.reduceat(sums, begins)
        return best

    def search(self, bucket: np.ndarray, gram: np.ndarray, k: int, asked: np.ndarray | None = None) -> Likest:
        """The at most k entities with the largest cosines above zero, and the cosines of the columns `asked`.

        Where the surface's n-grams have more than `POSTINGS` postings, names whose cosine is below `UNREAD` may be
        missed, and so may those that are not among the `LOOKED_UP` best by their rarer n-grams. Otherwise it is exact;
        of the columns `asked` it always is.
        """
        grams = sorted(self._grams(bucket, gram), key=lambda each: each.size)
        read, asked = _read_whole(grams), np.zeros(0, np.int64) if asked is None else asked
        asked_place, asked_names = self._names_of(asked)
        names, cosines, asked_cosines = self._summed(grams[:read], asked_names)
        if grams[read:]:
            chosen = _top(cosines, max(LOOKED_UP, 4 * k))
            order = chosen[np.argsort(names[chosen])]
            looked_up = names[order]
            for each in grams[read:]:
                cosines[order] += each.weight * self._looked_up(each, looked_up)
                asked_cosines += each.weight * self._looked_up(each, asked_names)
        of_asked = np.zeros(len(asked), np.float32)
        np.maximum.at(of_asked, asked_place, asked_cosines)
        return Likest(*self._best(names, cosines, k), of_asked)

    def _grams(self, bucket: np.ndarray, gram: np.ndarray) -> list[_Gram]:
        """The n-grams of a surface that some name has."""
        had = gram > 0
        firsts = self.first[np.stack([bucket[had], bucket[had] + 1])].T.tolist()
        weights = gram[had].tolist()
        return [_Gram(slice(*pair), w) for pair, w in zip(firsts, weights, strict=True) if pair[0] < pair[1]]

    def _summed(self, grams: Sequence[_Gram], others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The names that have any of the n-grams, the sums of the products of weights over these, and those sums of
        other names."""
        sums, new = self._zeros(), [np.zeros(0, np.int32)]
        for gram in grams:
            having = self.name[gram.where]
            before = sums[having]
            new.append(having[before == 0])
            sums[having] = before + gram.weight * self.weight[gram.where]
        names = np.concatenate(new)
        cosines, those = sums[names], sums[others]
        sums[names] = 0  # only where something was added: a million zeros take longer than a search
        self._sums.append(sums)
        return names, cosines, those

    def _zeros(self) -> np.ndarray:
        """[names], used before if no other thread has them."""
        try:
            return self._sums.pop()
        except IndexError:
            return np.zeros(len(self.owner), np.float32)

    def _names_of(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each name of any of the columns: the place of its column among them, and the name."""
        first, last = (np.searchsorted(self.owner, columns, side=side) for side in ("left", "right"))
        counts = last - first
        nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(np.arange(len(columns)), counts), np.repeat(first, counts) + nth

    def _looked_up(self, gram: _Gram, names: np.ndarray) -> np.ndarray:
        """[names] weights of an n-gram in some names, which ascend; 0 where it is in none."""
        having = self.name[gram.where]
        place = np.minimum(np.searchsorted(having, names), gram.size - 1)
        found: np.ndarray = self.weight[gram.where.start + place] * (having[place] == names)
        return found

    def _best(self, names: np.ndarray, cosines: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Columns and cosines of the k best entities, from the cosines of names."""
        wanted = k  # names, and the k best of them may be of fewer entities
        while True:
            chosen = _top(cosines, wanted)
            owner, cosine = self.owner[names[chosen]], cosines[chosen]
            order = np.lexsort((owner, -cosine))
            columns, begins = np.unique(owner[order], return_index=True)
            if len(columns) >= k or len(chosen) == len(names):
                break
            wanted *= 4
        begins = np.sort(begins)[:k]
        return owner[order][begins].astype(np.int64), cosine[order][begins]

    @cached_property
    def _named(self) -> tuple[np.ndarray, np.ndarray]:
        """The entities with names, and where the names of each begin."""
        begins = np.flatnonzero(np.diff(self.owner, prepend=-1))
        return self.owner[begins], begins


class Likest(NamedTuple):
    """columns of entities, best first (equal ones in the order of the knowledge base), and their cosines; of_asked: the
    cosines of the columns that were asked about"""

    columns: np.ndarray
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
    squares = np.cumsum([each.weight**2 for each in grams])
    few = int(np.searchsorted(np.cumsum([each.size for each in grams]), POSTINGS, side="right"))
    return max(few, 1 + int(np.argmax(squares[-1] - squares <= UNREAD**2)))


def _top(values: np.ndarray, count: int) -> np.ndarray:
    """Places of the `count` largest values, and of all that equal the last of them."""
    if count >= len(values):
        return np.arange(len(values))
    least = np.partition(values, len(values) - count)[len(values) - count]
    return np.flatnonzero(values >= least)


class _Postings(NamedTuple):
    """One n-gram of one name each: all [postings]."""

    bucket: np.ndarray
    name: np.ndarray
    weight: np.ndarray


def _postings(side: Side) -> tuple[_Postings, np.ndarray]:
    """Those of a block, its names numbered from 0, and the owner of each name within the block."""
    grams = side["gram"].float().cpu().numpy()
    where = entity, nth, _ = grams.nonzero()
    begins = np.ones(len(entity), dtype=bool)
    begins[1:] = (np.diff(entity) != 0) | (np.diff(nth) != 0)
    name = (np.cumsum(begins) - 1).astype(np.int32)
    return _Postings(side["bucket"].cpu().numpy()[where], name, grams[where]), entity[begins].astype(np.int32)


def _inverted(blocks: Sequence[_Postings], buckets: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`first`, `name` and `weight` of the index."""
    none = _Postings(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    bucket, name, weight = (np.concatenate(parts) for parts in zip(none, *blocks, strict=True))
    order = np.argsort(bucket, kind="stable")
    first = np.zeros(buckets + 1, dtype=np.int64)
    np.cumsum(np.bincount(bucket, minlength=buckets), out=first[1:])
    return first, name[order], weight[order]
