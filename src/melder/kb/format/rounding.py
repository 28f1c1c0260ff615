"""How exactly numbers are stored: float32, float16, int8 with one scale for each vector of the last axis, or residuals.

int8: x = scale * q with q in [-127, 127] and scale [...] in float16. What must not be rounded so much is float16.

residual4, residual2, residual1: tokens by a codebook (`melder.kb.format.codebook`) in so many bits a number: arrays of
codes, centroids and scales. Other vectors have 4 bits with residual1 and are int8 otherwise, as is whatever the
codebook does not know. Of names, an n-gram's bucket has three bytes [n, 3] instead of four, and its weight one, 24 log2
of it, instead of two; arrays of bytes [n] and [n, 3] without scales are those.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from melder.features import Rows
from melder.kb.format.codebook import Codebook, Coded, quantiser_of
from melder.kb.format.mapped_arrays import MappedArrays
from melder.protocols import SideTensor
from melder.records import MelderError

__all__ = [
    "BITS",
    "SCALE",
    "StorageDtype",
    "companions",
    "floats",
    "is_companion",
    "restored",
    "restored_width",
    "stored_as",
]

StorageDtype = Literal["float32", "float16", "int8", "residual4", "residual2", "residual1"]
BITS: dict[StorageDtype, int] = {"residual4": 4, "residual2": 2, "residual1": 1}  # of a token's number
SCALE = ".scale"  # what is added to a tensor's name for its scales
CENTROID = ".centroid"  # and for the numbers of its centroids
LARGEST = float(np.finfo(np.float16).max)
OCTAVE = 24  # bytes from a weight to twice that: a step is 3 %
TOP = 255 - OCTAVE  # the byte of 1
# What each byte stands for; float16 holds them as they are, so that an index of names rounds nothing.
WEIGHTS = torch.from_numpy((2.0 ** ((np.arange(256) - TOP) / OCTAVE)).astype(np.float16)).float()


def stored_as(
    name: str, array: np.ndarray, kind: StorageDtype, declared: SideTensor, codebook: Codebook | None = None
) -> dict[str, np.ndarray]:
    """The array of this name as it is stored, and its scales and centroids if it has any.

    Args:
        name: Of the tensor.
        array: [rows, …].
        kind: What numbers are rounded to.
        declared: What the unit allows.
        codebook: What residuals are stored by; without it int8 is in their place.

    Returns:
        By name, the array first.

    Raises:
        MelderError: Whole numbers that three bytes do not hold.
    """
    if kind in BITS and declared.whole:
        return {name: _three_bytes(name, array)}
    if array.dtype != np.float32 or kind == "float32":
        return {name: array}
    if kind in BITS and declared.logarithmic:
        return {name: _logarithms(array)}
    if kind == "float16" or array.ndim < 2 or not declared.rounded:
        return {name: array.clip(-LARGEST, LARGEST).astype(np.float16)}
    if codebook is not None and name in codebook:
        coded = codebook[name].encode(torch.from_numpy(array))
        return {key: tensor.numpy() for key, tensor in zip((name, *companions(name)), _ordered(coded), strict=True)}
    largest = np.abs(array).max(axis=-1, initial=0)
    # Rounded up to float16, so that no value leaves [-127, 127].
    scale = np.nextafter((largest / 127).clip(0, LARGEST / 2).astype(np.float16), np.float16(np.inf))
    quotient = np.rint(array / scale.astype(np.float32)[..., None])
    return {name: quotient.clip(-127, 127).astype(np.int8), name + SCALE: scale}


def floats(arrays: MappedArrays, name: str, rows: Rows) -> Tensor:
    """Rows of a stored array, in float32 where they are floating point.

    Args:
        arrays: Of a segment.
        name: Of the tensor.
        rows: Of the segment.

    Returns:
        [rows, …].

    Raises:
        MelderError: A block that is read is damaged.
    """
    return restored(arrays, name, lambda stored: arrays.rows(stored, rows))


def restored(arrays: MappedArrays, name: str, stored: Callable[[str], Tensor]) -> Tensor:
    """A stored tensor, in float32 where it is floating point.

    Args:
        arrays: Which have this layout and codebook; they are not read.
        name: Of the tensor.
        stored: What is stored, by an array's name.

    Returns:
        [rows, …].

    Raises:
        MelderError: Its codebook cannot be read.
    """
    tensor = stored(name)
    if tensor.dtype == torch.int8:
        return tensor.float().mul_(stored(name + SCALE).float()[..., None])
    if tensor.dtype == torch.float16:
        return tensor.float()
    if tensor.dtype != torch.uint8:
        return tensor
    if name + SCALE not in arrays.places:
        return WEIGHTS[tensor.int()] if tensor.dim() == 1 else _whole(tensor)
    quantiser = quantiser_of(arrays.codebook, name, arrays.path)
    return quantiser.decode(Coded(tensor, stored(name + CENTROID), stored(name + SCALE)))


def restored_width(arrays: MappedArrays, name: str) -> int:
    """How many numbers of four bytes a row of a stored array [rows, …] becomes.

    Args:
        arrays: Of a segment.
        name: Of the tensor.

    Returns:
        Numbers a row.
    """
    place = arrays.places[name]
    if place.kind != "uint8" or name + SCALE not in arrays.places:
        return int(np.prod(place.shape[1:]))
    return int(np.prod(place.shape[1:-1])) * quantiser_of(arrays.codebook, name, arrays.path).width


def companions(name: str) -> tuple[str, str]:
    """What arrays of scales and of centroids are called that a tensor may have.

    Args:
        name: Of the tensor.

    Returns:
        Names; the arrays need not be there.
    """
    return name + SCALE, name + CENTROID


def is_companion(name: str, names: Collection[str]) -> bool:
    """Whether an array of this name among such holds scales or centroids.

    Args:
        name: Of an array.
        names: Of all arrays of the segment.

    Returns:
        Whether it belongs to one of these.
    """
    return any(name.endswith(ending) and name.removesuffix(ending) in names for ending in (SCALE, CENTROID))


def _ordered(coded: Coded) -> tuple[Tensor, Tensor, Tensor]:
    return coded.codes, coded.scale, coded.centroid


def _three_bytes(name: str, array: np.ndarray) -> np.ndarray:
    """[n, 3] of whole numbers [n], the lowest byte first."""
    if array.size and not 0 <= array.min() <= array.max() < 1 << 24:
        raise MelderError(f"tensor {name!r} has numbers that three bytes do not hold; store sides as int8")
    return np.ascontiguousarray(array.astype("<i4")[..., None]).view(np.uint8)[..., :3]


def _whole(stored: Tensor) -> Tensor:
    first, second, third = stored.int().unbind(dim=-1)
    return first + (second << 8) + (third << 16)


def _logarithms(array: np.ndarray) -> np.ndarray:
    logarithm = np.log2(array.clip(2.0**-20)) * OCTAVE + TOP
    rounded: np.ndarray = np.rint(logarithm).clip(0, 255).astype(np.uint8)
    return rounded
