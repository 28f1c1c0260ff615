"""How exactly numbers are stored: float32, float16, or int8 with one scale for each vector of the last axis.

int8: x = scale * q with q in [-127, 127] and scale [...] in float16. What must not be rounded so much is float16.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from melder.features import Rows
from melder.kb.format.arrays import MappedArrays
from melder.protocols import SideTensor

__all__ = ["SCALE", "StorageDtype", "floats", "is_scale", "stored_as"]

StorageDtype = Literal["float32", "float16", "int8"]
SCALE = ".scale"  # what is added to a tensor's name for its scales
LARGEST = float(np.finfo(np.float16).max)


def stored_as(name: str, array: np.ndarray, kind: StorageDtype, declared: SideTensor) -> dict[str, np.ndarray]:
    """The array of this name as it is stored, and its scales if it has any."""
    if array.dtype != np.float32 or kind == "float32":
        return {name: array}
    if kind == "float16" or array.ndim < 2 or not declared.rounded:
        return {name: array.clip(-LARGEST, LARGEST).astype(np.float16)}
    largest = np.abs(array).max(axis=-1, initial=0)
    # Rounded up to float16, so that no value leaves [-127, 127].
    scale = np.nextafter((largest / 127).clip(0, LARGEST / 2).astype(np.float16), np.float16(np.inf))
    quotient = np.rint(array / scale.astype(np.float32)[..., None])
    return {name: quotient.clip(-127, 127).astype(np.int8), name + SCALE: scale}


def floats(arrays: MappedArrays, name: str, rows: Rows) -> Tensor:
    """Rows of a stored array, in float32 where they are floating point."""
    stored = arrays.rows(name, rows)
    if stored.dtype == torch.int8:
        return stored.float().mul_(arrays.rows(name + SCALE, rows).float()[..., None])
    return stored.float() if stored.dtype == torch.float16 else stored


def is_scale(name: str, names: Collection[str]) -> bool:
    """Whether an array of this name among such holds scales."""
    return name.endswith(SCALE) and name.removesuffix(SCALE) in names
