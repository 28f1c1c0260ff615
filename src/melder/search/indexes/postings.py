"""From the names of entities to inverted lists of their n-grams, a block of entities at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from melder.features import Side

__all__ = ["Inverted", "inverted"]


class Inverted(NamedTuple):
    """first [buckets + 1]: where the postings of a bucket begin in `name` and `weight` [postings], names ascending
    owner [names]: the entity whose name it is, ascending; entities []: how many there are"""

    first: np.ndarray
    name: np.ndarray
    weight: np.ndarray
    owner: np.ndarray
    entities: np.ndarray


class _Postings(NamedTuple):
    """One n-gram of one name each: all [postings]."""

    bucket: np.ndarray
    name: np.ndarray
    weight: np.ndarray


def inverted(sides: Iterable[Side], buckets: int) -> Inverted:
    """Of entity sides of the lexical unit, block after block.

    Args:
        sides: Blocks of entities in order.
        buckets: How many hashes of n-grams there are.

    Returns:
        Postings, names ascending in each bucket.
    """
    postings, owners, entities, names = list[_Postings](), list[np.ndarray](), 0, 0
    for side in sides:
        block, owner = _postings(side)
        postings.append(block._replace(name=block.name + names))
        owners.append(owner + entities)
        names, entities = names + len(owner), entities + side.rows
    owner = np.concatenate([np.zeros(0, np.int32), *owners])
    return Inverted(*_by_bucket(postings, buckets), owner, np.array(entities, dtype=np.int64))


def _postings(side: Side) -> tuple[_Postings, np.ndarray]:
    """Those of a block, its names numbered from 0, and the owner of each name within the block."""
    grams = side["gram"].float().cpu().numpy()
    where = entity, nth, _ = grams.nonzero()
    begins = np.ones(len(entity), dtype=bool)
    begins[1:] = (np.diff(entity) != 0) | (np.diff(nth) != 0)
    name = (np.cumsum(begins) - 1).astype(np.int32)
    return _Postings(side["bucket"].cpu().numpy()[where], name, grams[where]), entity[begins].astype(np.int32)


def _by_bucket(blocks: Sequence[_Postings], buckets: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`first`, `name` and `weight` of the index."""
    none = _Postings(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    bucket, name, weight = (np.concatenate(parts) for parts in zip(none, *blocks, strict=True))
    order = np.argsort(bucket, kind="stable")
    first = np.zeros(buckets + 1, dtype=np.int64)
    np.cumsum(np.bincount(bucket, minlength=buckets), out=first[1:])
    return first, name[order], weight[order]
