"""Raw arrays in a file: where they lie, and how they are written.

They share a file so that a segment costs one mapping, one fsync and no open file; each starts at a multiple of 64
bytes. Arrays with one row an entity may be stored row by row: what is known of an entity is one piece of the file then,
which is read in one go.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

__all__ = [
    "KINDS",
    "WIDEST",
    "ArrayLayout",
    "ArraySpec",
    "FlatArrays",
    "PictureArrays",
    "rounded",
    "write_arrays",
]

ALIGNMENT = 64  # bytes: a cache line, and more than any type needs
WIDEST = 8  # bytes of the largest type: what begins at a multiple of it can be read as any
TOGETHER = 256  # rows that are put together before they are written
KINDS: dict[str, torch.dtype] = {
    "bool": torch.bool,
    "uint8": torch.uint8,
    "int8": torch.int8,
    "int32": torch.int32,
    "int64": torch.int64,
    "float16": torch.float16,
    "float32": torch.float32,
}


class ArraySpec(BaseModel):
    """Where an array is in its file: the first byte, its type and shape; rows are stored one after the other, or
    `step` bytes apart, with what else is known of the same entity between them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    offset: int = Field(ge=0)
    kind: str
    shape: tuple[int, ...]
    step: int | None = Field(default=None, ge=WIDEST, multiple_of=WIDEST)

    @cached_property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * KINDS[self.kind].itemsize

    @property
    def apart(self) -> int:
        """Bytes from the beginning of one row to that of the next."""
        return self.row_bytes if self.step is None else self.step

    def rows_of(self, content: Tensor) -> Tensor:
        """The array, a view of the whole file's bytes."""
        kind = KINDS[self.kind]
        end = self.offset + (max(1, self.shape[0]) - 1) * self.apart + self.row_bytes
        flat = content[self.offset : end if self.shape[0] else self.offset].view(kind)
        if self.step is None:
            return flat.view(self.shape)
        strides = [math.prod(self.shape[axis + 1 :]) for axis in range(1, len(self.shape))]
        return flat.as_strided(self.shape, (self.step // kind.itemsize, *strides))


class FlatArrays(NamedTuple):
    """Tensors [n, A, G] that share their padding and are stored without it: of each entity some names, of each of these
    some n-grams, one after the other.

    Args:
        tensors: The arrays [n-grams] of the tensors.
        first_name: The array [n + 1] of the number of each entity's first name, and of all names.
        first_gram: The array [names + 1] of the number of each name's first n-gram, and of all n-grams.
    """

    tensors: tuple[str, ...]
    first_name: str
    first_gram: str


class PictureArrays(NamedTuple):
    """Tensors [n, K, …] of the further pictures of each entity, as many rows as it has, one after the other.

    Args:
        tensors: The arrays [pictures, …] of the tensors.
        there: The one of them that is True where there is a picture.
        first: The array [n + 1] of the number of each entity's first row, and of all rows.
    """

    tensors: tuple[str, ...]
    there: str
    first: str


@dataclass(frozen=True)
class ArrayLayout:
    """How arrays are stored row by row, from the beginning of a file.

    Args:
        key: All that is said here in one string, by which two are compared; the number of rows is left out.
        kinds: The names of the arrays, and their types.
        step: Bytes from one row to the next.
        places: Where each array begins, and its shape.
    """

    key: str
    kinds: str = field(compare=False)  # the names of the arrays, and their types
    step: int = field(compare=False)
    places: Mapping[str, ArraySpec] = field(compare=False)

    def room(self, name: str) -> int:
        """Bytes of a row that an array has: with what lies between it and the next, where rows are not dense."""
        place, begins = self.places[name], [other.offset for other in self.places.values()]
        following = min((begin for begin in begins if begin > place.offset), default=self.step)
        return min(following - place.offset, rounded(place.row_bytes))


def write_arrays(
    path: Path, arrays: Mapping[str, np.ndarray], together: Collection[str] = (), *, dense: bool = False
) -> dict[str, ArraySpec]:
    """Write little-endian arrays of the types in `KINDS` to a new file; says where each is.

    Args:
        path: Of the new file.
        arrays: By their names.
        together: The names of arrays of equally many rows that are stored row by row.
        dense: Whether these rows have no gaps between their arrays, of which the widest types come first then.

    Returns:
        Where each is, as the description of a segment lists it.
    """
    with path.open("wb") as file:
        rows = {name: array for name, array in arrays.items() if name in together}
        if dense:
            rows = dict(sorted(rows.items(), key=lambda item: -item[1].itemsize))
        places = _write_rows(file, rows, dense) if rows else {}
        for name, array in arrays.items():
            if name not in rows:
                file.write(bytes(-file.tell() % ALIGNMENT))
                places[name] = ArraySpec(offset=file.tell(), kind=array.dtype.name, shape=array.shape)
                file.write(np.ascontiguousarray(array).data if array.size else b"")
    return places


def _write_rows(file: BinaryIO, arrays: Mapping[str, np.ndarray], dense: bool) -> dict[str, ArraySpec]:
    """Row by row, at the beginning of a file."""
    begins, size = {}, 0
    for name, array in arrays.items():
        begins[name] = size
        size += rounded(math.prod(array.shape[1:]) * array.itemsize, 1 if dense else WIDEST)
    multiple, count = WIDEST if dense else ALIGNMENT, len(next(iter(arrays.values())))
    step = max(multiple, rounded(size, multiple))
    for start in range(0, count, TOGETHER):
        block = np.zeros((min(TOGETHER, count - start), step), np.uint8)
        for name, array in arrays.items():
            values = np.ascontiguousarray(array[start : start + len(block)]).reshape(len(block), -1).view(np.uint8)
            block[:, begins[name] : begins[name] + values.shape[1]] = values
        file.write(block.data)
    return {
        name: ArraySpec(offset=begins[name], kind=array.dtype.name, shape=array.shape, step=step)
        for name, array in arrays.items()
    }


def rounded(size: int, multiple: int = WIDEST) -> int:
    """The next multiple: an array of a record takes so many bytes, so that what is behind it begins at one.

    Args:
        size: Bytes of an array's row.
        multiple: Bytes.

    Returns:
        Bytes.
    """
    return -(-size // multiple) * multiple
