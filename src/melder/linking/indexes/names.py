"""An inverted index of names: from an n-gram to the names that have it, with the lexical unit's own weights.

The cosine of a surface and a name is the sum of the products of their weights over the n-grams that both have, so that
only the postings of the surface's own n-grams are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from melder.features import Side
from melder.linking.indexes.files import new_directory, open_arrays, save_arrays

__all__ = ["NameIndex"]

ARRAYS = ("first", "name", "weight", "owner", "entities")


class NameIndex:
    """first [buckets + 1]: where the postings of a bucket begin in `name` and `weight` [postings], names ascending.
    owner [names]: the entity whose name it is, ascending; entities []: how many there are.

    A surface is `bucket` and `gram` [G], as the lexical unit's mention side has them; zeros in `gram` are padding.
    """

    def __init__(
        self, first: np.ndarray, name: np.ndarray, weight: np.ndarray, owner: np.ndarray, entities: np.ndarray
    ) -> None:
        self.first = first
        self.name = name
        self.weight = weight
        self.owner = owner
        self.entities = entities
        self._named, self._begins = np.unique(owner, return_index=True)

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
        pairs = [(slice(*self.first[b : b + 2]), g) for b, g in zip(bucket, gram, strict=True) if g > 0]
        found = [self.name[postings] for postings, _ in pairs]
        weights = [self.weight[postings] * g for postings, g in pairs]
        none = np.zeros(0, np.int32)
        sums = np.bincount(np.concatenate([none, *found]), np.concatenate([none, *weights]), minlength=len(self.owner))
        best = np.zeros(int(self.entities), dtype=np.float32)
        if len(sums):
            best[self._named] = np.maximum.reduceat(sums, self._begins)
        return best

    def search(self, bucket: np.ndarray, gram: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Columns of the at most k entities with the largest cosines above zero, best first (equal ones in the order of
        the knowledge base), and these cosines."""
        cosines = self.cosines(bucket, gram)
        least = float(torch.from_numpy(cosines).topk(k).values[-1]) if 0 < k <= len(cosines) else 0.0
        reached = np.flatnonzero((cosines >= least) & (cosines > 0))
        best = reached[np.lexsort((reached, -cosines[reached]))][:k]
        return best, cosines[best]


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
