"""From the names of entities to inverted lists of their n-grams, a block of entities at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from melder.features import Side
from melder.io.scratch import ScratchRows, scratch_array
from melder.ops.runs import spread

__all__ = ["Inverted", "inverted"]

AT_ONCE = 1 << 22  # postings that are sorted together: a quarter of a gigabyte
POSTING = np.dtype([("bucket", np.int32), ("name", np.int32), ("weight", np.float32)])  # one n-gram of one name


class Inverted(NamedTuple):
    """first [buckets + 1]: where the postings of a bucket begin in `name` and `weight` [postings], names ascending
    owner [names]: the entity whose name it is, ascending; entities []: how many there are"""

    first: np.ndarray
    name: np.ndarray
    weight: np.ndarray
    owner: np.ndarray
    entities: np.ndarray


def inverted(sides: Iterable[Side], buckets: int) -> Inverted:
    """Of entity sides of the lexical unit, block after block.

    Args:
        sides: Blocks of entities in order.
        buckets: How many hashes of n-grams there are.

    Returns:
        Postings, names ascending in each bucket.
    """
    postings, owners, entities, names = ScratchRows(), list[np.ndarray](), 0, 0
    counts = np.zeros(buckets, np.int64)
    postings.append(np.zeros(0, POSTING))
    for side in sides:
        block, owner = _postings(side)
        block["name"] += names
        counts += np.bincount(block["bucket"], minlength=buckets)
        postings.append(block)
        owners.append(owner + entities)
        names, entities = names + len(owner), entities + side.rows
    first = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    owner = np.concatenate([np.zeros(0, np.int32), *owners])
    return Inverted(first, *_by_bucket(postings.array(), first), owner, np.array(entities, dtype=np.int64))


def _postings(side: Side) -> tuple[np.ndarray, np.ndarray]:
    """Those of a block, its names numbered from 0, and the owner of each name within the block."""
    grams = side["gram"].float().cpu().numpy()
    where = entity, nth, _ = grams.nonzero()
    begins = np.ones(len(entity), dtype=bool)
    begins[1:] = (np.diff(entity) != 0) | (np.diff(nth) != 0)
    block = np.empty(len(entity), POSTING)
    block["bucket"], block["name"], block["weight"] = (
        side["bucket"].cpu().numpy()[where],
        np.cumsum(begins) - 1,
        grams[where],
    )
    return block, entity[begins].astype(np.int32)


def _by_bucket(postings: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`name` and `weight` of the index, some of the postings at a time: sorted all at once they would have to be in
    memory twice."""
    name, weight = (scratch_array(len(postings), POSTING[field]) for field in ("name", "weight"))
    following = first[:-1].copy()  # the place of the next posting of each bucket
    for start in range(0, len(postings), AT_ONCE):
        block = postings[start : start + AT_ONCE]
        order = np.argsort(block["bucket"], kind="stable")
        lengths = np.bincount(block["bucket"], minlength=len(following))
        run, nth = spread(lengths)
        places = following[run] + nth
        name[places], weight[places] = block["name"][order], block["weight"][order]
        following += lengths
    return name, weight
