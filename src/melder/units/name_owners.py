"""How many entities have a name: counted among the hashed features of the lexical unit, as a count-min sketch does.

A run of words has `HASHES` features in the side of an entity. The rarest of them is in as many entities as have the
run, or in a few more where all of them are shared by chance (Cormode and Muthukrishnan, 2005).
"""

from __future__ import annotations

import torch
from torch import Tensor

from melder.features import Side

__all__ = ["entities_with_bucket", "owners_of"]

AT_ONCE = 2048  # entities whose buckets are sorted together


def entities_with_bucket(side: Side, buckets: int) -> Tensor:
    """How many entities have each bucket of hashed n-grams.

    Args:
        side: A lexical side of entities.
        buckets: How many there are.

    Returns:
        [buckets], int32.
    """
    counts = torch.zeros(buckets, dtype=torch.int64)
    for start in range(0, side.rows, AT_ONCE):
        rows = side.take(slice(start, start + AT_ONCE))
        there = rows["gram"].cpu().flatten(1) > 0
        ascending = rows["bucket"].cpu().long().flatten(1).masked_fill(~there, -1).sort(dim=1).values
        first = torch.ones_like(ascending, dtype=torch.bool)
        first[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
        counts += torch.bincount(ascending[first & (ascending >= 0)], minlength=buckets)
    return counts.int()


def owners_of(hashes: Tensor, counts: Tensor) -> Tensor:
    """How many entities have a name, at most: as many as have the rarest of its buckets.

    Args:
        hashes: [n, HASHES], buckets of names; -1 where there is no name.
        counts: [buckets], of `entities_with_bucket`.

    Returns:
        [n], float32; 0 for no name.
    """
    there = hashes >= 0
    owners = torch.where(there, counts[hashes.clamp(min=0)], 0)
    return owners.amin(dim=1).float()
