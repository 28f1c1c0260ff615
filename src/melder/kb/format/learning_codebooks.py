"""What a codebook is learned from: the sides of some entities of the knowledge base that is being built."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from melder.features import Side
from melder.kb.format.codebook import CENTROIDS, Codebook, Quantiser, nearest
from melder.ops.evenly_spaced import evenly_spaced
from melder.protocols import SideTensor

__all__ = ["learn_codebook"]

VECTORS = 1 << 15  # that a tensor's centroids are learned from, 128 for each
A_CENTROID = 16  # vectors that it needs
NUMBERS = 1 << 18  # that the levels are learned from
ROUNDS = 12  # of Lloyd's algorithm, which hardly moves anything after them
ALONE = 4  # bits of vectors that are no tokens, where those have 1; else they are int8


def learn_codebook(side: Side, declared: Mapping[str, SideTensor], bits: int) -> Codebook:
    """The quantisers of a side's vectors.

    Args:
        side: Of entities that are like those that will be stored; rows without a token have none at padding.
        declared: How the store may hold each tensor.
        bits: Of a token's number: 1, 2 or 4. Vectors that are no tokens, of which an entity has one of a kind, are left
            to int8 unless that is 1.

    Returns:
        A quantiser for each tensor that is stored by one.
    """
    quantisers = dict[str, Quantiser]()
    for name, tensor in side.items():
        form = declared[name]
        wanted = bits if form.tokens is not None else ALONE if bits == 1 else None
        if wanted is not None and quantisable(tensor, form) and len(vectors := _vectors(side, name, form)):
            quantisers[name] = _learn(vectors, wanted)
    return Codebook(quantisers)


def quantisable(tensor: Tensor, form: SideTensor) -> bool:
    """Whether a tensor of a side is made of vectors that may be rounded."""
    return tensor.is_floating_point() and tensor.dim() > 1 and form.rounded and form.weights is None


def _vectors(side: Side, name: str, form: SideTensor) -> Tensor:
    """[n, w]: the valid ones, evenly from all where they are many."""
    tensor = side[name].cpu().float()
    for mask in (form.tokens, form.share, form.pictures):
        if mask is not None and mask in side:
            valid = side[mask].cpu()
            rows = valid.view(*valid.shape, *[1] * (tensor.dim() - 1 - valid.dim())).expand(tensor.shape[:-1]) > 0
            vectors = tensor[rows]
            break
    else:
        vectors = tensor.reshape(-1, tensor.shape[-1])
    return vectors[evenly_spaced(len(vectors), min(VECTORS, len(vectors)))]


def _learn(vectors: Tensor, bits: int) -> Quantiser:
    centroids = _centroids(vectors, max(1, min(CENTROIDS, len(vectors) // A_CENTROID)))
    residual = vectors - centroids[nearest(vectors, centroids)]
    deviation = residual.square().mean(dim=0).sqrt().clamp(min=1e-6)
    scaled = residual / deviation
    scaled = scaled / scaled.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-6)
    return Quantiser(centroids, deviation, _levels(scaled.flatten(), bits))


def _centroids(vectors: Tensor, count: int) -> Tensor:
    """[count, w] by Lloyd's algorithm, from vectors evenly among all; what nothing is near to stays where it is."""
    centroids = vectors[evenly_spaced(len(vectors), count)].clone()
    for _ in range(ROUNDS):
        owner = nearest(vectors, centroids)
        counts = torch.bincount(owner, minlength=count)[:, None]
        sums = torch.zeros_like(centroids).index_add_(0, owner, vectors)
        centroids = torch.where(counts > 0, sums / counts.clamp(min=1), centroids)
    return centroids


def _levels(numbers: Tensor, bits: int) -> Tensor:
    """[2^bits] ascending: those by which numbers are rounded with the least squares (Lloyd and Max)."""
    ordered = numbers[evenly_spaced(len(numbers), min(NUMBERS, len(numbers)))].sort().values
    count = 1 << bits
    levels = ordered[((torch.arange(count) + 0.5) / count * len(ordered)).long()]
    for _ in range(ROUNDS):
        owner = torch.bucketize(ordered, (levels[1:] + levels[:-1]) / 2)
        counts = torch.bincount(owner, minlength=count)
        sums = torch.zeros(count).index_add_(0, owner, ordered)
        levels = torch.where(counts > 0, sums / counts.clamp(min=1), levels)
    return levels
