r"""Residual quantisation: a vector as the nearest of some centroids, and what is left of it in 1, 2 or 4 bits a number.

    x ≈ c_k + s · d ∘ v        k: which centroid; v: one of 2^bits levels for each number

ColBERTv2 (Santhanam et al., 2022, section 3.3) and PLAID store token vectors so. Theirs have length 1; a unit's need
not, so that each vector has a scale s of its own (float16, by least squares), and each dimension a deviation d.
Centroids, deviations and levels (Lloyd and Max's) are learned from a sample of the knowledge base's own entities and
stay what they are: every segment is read with the same, and segments are merged as they are stored.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from melder.io.checksums import WholeFile, damaged
from melder.io.tensors import write_tensors
from melder.records import MelderError

__all__ = ["CENTROIDS", "Codebook", "CodebookFile", "Coded", "Quantiser"]

CENTROIDS = 256  # at most: their number is a byte
LARGEST = 64 << 20  # bytes of a stranger's codebook: a tensor of 1,024 numbers a vector has half of one
AT_ONCE = 1 << 14  # vectors whose distances to all centroids are held


class Coded(NamedTuple):
    """Vectors [..., w] as they are stored: codes [..., bytes] and centroid [...] uint8, scale [...] float16."""

    codes: Tensor
    centroid: Tensor
    scale: Tensor


@dataclass(frozen=True)
class Quantiser:
    """How one tensor's vectors are stored.

    Args:
        centroids: [k, w], at most `CENTROIDS`.
        deviation: [w]
        levels: [2^bits], ascending.
    """

    centroids: Tensor
    deviation: Tensor
    levels: Tensor

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return len(self.deviation)

    @property
    def bits(self) -> int:
        return len(self.levels).bit_length() - 1

    @property
    def code_bytes(self) -> int:
        """What the codes of a vector take."""
        return math.ceil(self.width * self.bits / 8)

    def encode(self, vectors: Tensor) -> Coded:
        """Vectors [..., w] in float32."""
        flat = vectors.reshape(-1, self.width)
        pieces = [self._encode(piece) for piece in torch.split(flat, AT_ONCE)]
        shape = vectors.shape[:-1]
        return Coded(*(torch.cat(parts).view((*shape, *parts[0].shape[1:])) for parts in zip(*pieces, strict=True)))

    def decode(self, coded: Coded) -> Tensor:
        """[..., w] in float32."""
        residuals = self._levels_of_bytes[coded.codes.int()].flatten(-2)[..., : self.width]
        residuals.mul_(coded.scale.float()[..., None]).mul_(self.deviation)
        return residuals.add_(self._every[coded.centroid.int()])

    def _encode(self, vectors: Tensor) -> Coded:
        centroid = nearest(vectors, self.centroids)
        residual = (vectors - self.centroids[centroid]) / self.deviation
        length = residual.square().mean(dim=1, keepdim=True).sqrt()
        numbers = torch.bucketize(residual / length.clamp(min=1e-12), (self.levels[1:] + self.levels[:-1]) / 2)
        chosen = self.levels[numbers]
        scale = (residual * chosen).sum(dim=1) / chosen.square().sum(dim=1).clamp(min=1e-12)
        scale = scale.clamp(0, float(torch.finfo(torch.float16).max)).half()
        return Coded(self._packed(numbers), centroid.to(torch.uint8), scale)

    def _packed(self, numbers: Tensor) -> Tensor:
        """[n, bytes] of [n, w] numbers of levels, the first of a byte in its lowest bits."""
        together = 8 // self.bits
        padded = torch.nn.functional.pad(numbers, (0, -numbers.shape[1] % together)).view(len(numbers), -1, together)
        return (padded << self._shifts).sum(dim=-1).to(torch.uint8)

    @cached_property
    def _shifts(self) -> Tensor:
        return torch.arange(0, 8, self.bits)

    @cached_property
    def _levels_of_bytes(self) -> Tensor:
        """[256, numbers of a byte]"""
        return self.levels[(torch.arange(256)[:, None] >> self._shifts) & (len(self.levels) - 1)]

    @cached_property
    def _every(self) -> Tensor:
        """[256, w]: whatever a byte names, there is a centroid."""
        return torch.cat([self.centroids, self.centroids.new_zeros(CENTROIDS - len(self.centroids), self.width)])


def nearest(vectors: Tensor, centroids: Tensor) -> Tensor:
    """[n]: the centroid [k, w] that each vector [n, w] is nearest to."""
    return torch.addmm(centroids.square().sum(dim=1), vectors, centroids.t(), alpha=-2).argmin(dim=1)


class Codebook(Mapping[str, Quantiser]):
    """The quantisers of a knowledge base, by the names of their tensors in an entity's side.

    Args:
        quantisers: By tensor, such as `text.query`.
    """

    def __init__(self, quantisers: Mapping[str, Quantiser]) -> None:
        self._quantisers = dict(quantisers)

    def __getitem__(self, name: str) -> Quantiser:
        return self._quantisers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._quantisers)

    def __len__(self) -> int:
        return len(self._quantisers)

    def save(self, path: Path) -> None:
        """Write a file of safetensors, of which each quantiser is three."""
        write_tensors(
            path,
            {f"{name}/{part.name}": getattr(self[name], part.name) for name in self for part in fields(Quantiser)},
        )

    @staticmethod
    def open(path: Path) -> Codebook:
        """Raises MelderError for a file that is none."""
        if path.stat().st_size > LARGEST:
            raise damaged(path, f"has more than {LARGEST:,} bytes")
        try:
            tensors = load_file(path)
            names = dict.fromkeys(name.rpartition("/")[0] for name in sorted(tensors))
            parts = [part.name for part in fields(Quantiser)]
            quantisers = {name: Quantiser(*(tensors[f"{name}/{part}"] for part in parts)) for name in names}
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise damaged(path, f"is no codebook ({str(error).splitlines()[0]})") from None
        for name, quantiser in quantisers.items():
            _check(path, name, quantiser)
        return Codebook(quantisers)


class CodebookFile(NamedTuple):
    """Where a knowledge base has its codebook, and what was written there."""

    path: Path
    expected: WholeFile

    def read(self) -> Codebook:
        """The codebook, read and checked once.

        Raises:
            MelderError: It is missing, or not what was written.
        """
        return _read(self)


@lru_cache(maxsize=64)
def _read(file: CodebookFile) -> Codebook:
    file.expected.check(file.path)
    return Codebook.open(file.path)


def _check(path: Path, name: str, quantiser: Quantiser) -> None:
    """What a stranger may have written: shapes that fit each other, and numbers."""
    centroids, deviation, levels = quantiser.centroids, quantiser.deviation, quantiser.levels
    dimensions = [tensor.dim() for tensor in (centroids, deviation, levels)]
    fits = dimensions == [2, 1, 1] and len(levels) in (2, 4, 16) and 1 <= len(centroids) <= CENTROIDS
    if not fits or centroids.shape[1] != len(deviation):
        raise damaged(path, f"has no quantiser of the tensor {name!r}")
    for tensor in (centroids, deviation, levels):
        if tensor.dtype != torch.float32 or not bool(tensor.isfinite().all()):
            raise damaged(path, f"holds numbers of the tensor {name!r} that are not finite")


def quantiser_of(codebook: Codebook | None, name: str, path: Path) -> Quantiser:
    """Raises MelderError where the arrays of a file need one that is not there."""
    if codebook is None or name not in codebook:
        raise MelderError(f"{path}: tensor {name!r} needs a codebook that is not there; build the knowledge base again")
    return codebook[name]
