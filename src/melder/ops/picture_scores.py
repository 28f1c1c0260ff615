r"""Scores, vectors and bounds of several pictures made one, of items with unequal numbers of pictures.

The first picture of every item stands in one tensor, the further ones of all items in another, with `owner` [x], which
says whose each is. An item whose first picture is not `there` has further ones only; without any the first counts.

Bounds: with q_i the vectors of a mention's pictures, b_j those of an entity's, and q and b the means of each::

    max_ij <q_i, b_j> <= <q, b> + max_i |q_i| max_j |b_j - b| + max_i |q_i - q| |b|

which is an inner product again: `ball` appends two numbers to either vector. Of one picture each both terms are 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Pictures", "Pooling", "ball", "mean_vectors", "pooled"]

Pooling = Literal["log_mean_exp", "max", "mean"]


@dataclass(frozen=True)
class Pictures:
    """Whose pictures are: n first ones and x further ones.

    Args:
        owner: [x], int64, the item of each further picture.
        there: [n], whether an item has a first one.
    """

    owner: Tensor
    there: Tensor

    @property
    def counted(self) -> Tensor:
        """[n]: whether the first picture counts."""
        return self.there | (self._further == 0)

    @property
    def counts(self) -> Tensor:
        """[n]: how many pictures count."""
        return self._further + self.counted

    @property
    def _further(self) -> Tensor:
        return torch.bincount(self.owner, minlength=len(self.there))


def pooled(first: Tensor, further: Tensor, pictures: Pictures, pooling: Pooling) -> Tensor:
    """The score of each item, of those with its pictures.

    Args:
        first: [a, n], with the first pictures.
        further: [a, x], with the further ones.
        pictures: Whose these are.
        pooling: How several become one.

    Returns:
        [a, n].
    """
    counted, counts = pictures.counted, pictures.counts
    if pooling == "mean":
        total = first.masked_fill(~counted, 0.0).index_add(1, pictures.owner, further)
        return total / counts
    owner = pictures.owner.expand_as(further)
    known = first.masked_fill(~counted, float("-inf"))
    largest = known.scatter_reduce(1, owner, further, "amax")
    if pooling == "max":
        return largest
    largest = largest.detach()
    total = (known - largest).exp().index_add(1, pictures.owner, (further - largest[:, pictures.owner]).exp())
    return largest + (total / counts).log()


def mean_vectors(first: Tensor, further: Tensor, pictures: Pictures) -> Tensor:
    """The mean of each item's vectors.

    Args:
        first: [n, d], of the first pictures.
        further: [x, d], of the further ones.
        pictures: Whose these are.

    Returns:
        [n, d].
    """
    total = first * pictures.counted[:, None]
    return total.index_add(0, pictures.owner, further) / pictures.counts[:, None]


def ball(first: Tensor, further: Tensor, pictures: Pictures, *, query: bool) -> Tensor:
    """Bounds of items, made of bounds of their pictures: no inner product of any two pictures' bounds is above that of
    a mention's and an entity's result.

    Args:
        first: [n, d], of the first pictures.
        further: [x, d], of the further ones.
        pictures: Whose these are.
        query: Whether the items are mentions.

    Returns:
        [n, d + 2].
    """
    centre = mean_vectors(first, further, pictures)
    apart = _largest((first - centre).norm(dim=1), (further - centre[pictures.owner]).norm(dim=1), pictures)
    if query:
        longest = _largest(first.norm(dim=1), further.norm(dim=1), pictures)
        return torch.cat([centre, longest[:, None], apart[:, None]], dim=1)
    return torch.cat([centre, apart[:, None], centre.norm(dim=1, keepdim=True)], dim=1)


def _largest(first: Tensor, further: Tensor, pictures: Pictures) -> Tensor:
    """[n]: the largest of each item's numbers [n] and [x], none of which is negative."""
    return (first * pictures.counted).scatter_reduce(0, pictures.owner, further, "amax")
