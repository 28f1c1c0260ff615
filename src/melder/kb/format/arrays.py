"""Raw arrays in a file, memory-mapped when they are read.

They share a file so that a segment costs one mapping, one fsync and no open file; each starts at a multiple of 64
bytes. Arrays with one row an entity may be stored row by row: what is known of an entity is one piece of the file then,
which is read in one go. Nothing is read before it is asked for, and it is checked against its digests then.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from melder.features import Rows
from melder.io.checksums import BLOCK, BlockFile, ChecksummedFile, damaged

__all__ = [
    "KINDS",
    "ArrayLayout",
    "ArraySpec",
    "FlatArrays",
    "MappedArrays",
    "PictureArrays",
    "rounded",
    "write_arrays",
]

ALIGNMENT = 64  # bytes: a cache line, and more than any type needs
WIDEST = 8  # bytes of the largest type: what begins at a multiple of it can be read as any
TOGETHER = 256  # rows that are put together before they are written
KINDS: dict[str, torch.dtype] = {
    "bool": torch.bool,
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
    step: int | None = Field(default=None, ge=ALIGNMENT, multiple_of=ALIGNMENT)

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
    """How arrays are stored row by row, from the beginning of a file: bytes from one row to the next, and the places of
    the arrays. `key` is all of that but the number of rows, and what is compared."""

    key: str
    kinds: str = field(compare=False)  # the names of the arrays, and their types
    step: int = field(compare=False)
    places: Mapping[str, ArraySpec] = field(compare=False)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], together: Collection[str] = ()) -> dict[str, ArraySpec]:
    """Write little-endian arrays of the types in `KINDS` to a new file; says where each is.

    Args:
        together: The names of arrays of equally many rows that are stored row by row.
    """
    with path.open("wb") as file:
        rows = {name: array for name, array in arrays.items() if name in together}
        places = _write_rows(file, rows) if rows else {}
        for name, array in arrays.items():
            if name not in rows:
                file.write(bytes(-file.tell() % ALIGNMENT))
                places[name] = ArraySpec(offset=file.tell(), kind=array.dtype.name, shape=array.shape)
                file.write(np.ascontiguousarray(array).data if array.size else b"")
    return places


def _write_rows(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> dict[str, ArraySpec]:
    """Row by row, at the beginning of a file."""
    begins, size = {}, 0
    for name, array in arrays.items():
        begins[name] = size
        size += rounded(math.prod(array.shape[1:]) * array.itemsize)
    step, count = max(ALIGNMENT, rounded(size, ALIGNMENT)), len(next(iter(arrays.values())))
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
    """The next multiple: an array of a record takes so many bytes, so that what is behind it begins at one."""
    return -(-size // multiple) * multiple


class MappedArrays:
    """The arrays of a file. Mapping happens at the first reading; no file stays open."""

    def __init__(
        self,
        path: Path,
        places: Mapping[str, ArraySpec],
        expected: BlockFile,
        flat: Sequence[FlatArrays] = (),
        pictures: Sequence[PictureArrays] = (),
    ) -> None:
        self.path = path
        self.places = places
        self.flat, self.pictures = tuple(flat), tuple(pictures)
        self.checked = ChecksummedFile(path, expected)
        self._mapped: Tensor | None = None

    def rows(self, name: str, rows: Rows) -> Tensor:
        """Rows of an array: of a slice a view of the mapping, else a copy.

        Raises:
            MelderError: Damaged blocks.
        """
        place, content = self.places[name], self._content()
        whole = place.rows_of(content)
        if not place.row_bytes:
            return whole[rows]
        self.checked.check(_blocks(rows, place), content.numpy().data)
        return whole[rows]

    def flat_of(self, units: Collection[str] | None) -> Sequence[FlatArrays]:
        """The arrays of these units, or all, that are stored without padding."""
        if units is None:
            return self.flat
        return [group for group in self.flat if group.first_name.partition(".")[0] in units]

    def pictures_of(self, units: Collection[str] | None) -> Sequence[PictureArrays]:
        """The arrays of further pictures of these units, or all."""
        return [group for group in self.pictures if units is None or group.first.partition(".")[0] in units]

    @cached_property
    def layout(self) -> ArrayLayout | None:
        """None where no arrays are stored row by row, as earlier versions of Melder did not."""
        places = {name: place for name, place in self.places.items() if place.step is not None}
        if not places:
            return None
        step = next(iter(places.values())).apart
        said = [(name, place.offset, place.kind, place.shape[1:]) for name, place in places.items()]
        kinds = repr([(name, place.kind) for name, place in places.items()])
        return ArrayLayout(repr((step, said)), kinds, step, places)

    def part(self, start: int, stop: int) -> memoryview:
        """Some bytes of the file, checked."""
        content, first, last, checked_blocks = self._bytes, start // BLOCK, (stop - 1) // BLOCK, self._seen
        if start < stop and not (checked_blocks[first] and checked_blocks[last] and last - first < 2):
            self.checked.check(np.arange(first, last + 1), content)
        return content[start:stop]

    def close(self) -> None:
        """Give up the mapping, which ends with the last of the rows that are views of it."""
        self._mapped = None
        self.__dict__.pop("_bytes", None)

    @cached_property
    def _bytes(self) -> memoryview:
        return self._content().numpy().data

    @cached_property
    def _seen(self) -> memoryview:
        """Of each block whether it was checked; several times as fast to ask as an array."""
        return self.checked.seen.view(np.uint8).data

    def _content(self) -> Tensor:
        if self._mapped is None:
            size = self.checked.expected.size
            try:
                self._mapped = torch.from_file(str(self.path), shared=False, size=size, dtype=torch.uint8)
            except RuntimeError as error:
                raise damaged(self.path, f"cannot be mapped ({str(error).splitlines()[0]})") from None
        return self._mapped


def _blocks(rows: Rows, place: ArraySpec) -> np.ndarray:
    """The numbers of the file's blocks that rows of an array lie in, some perhaps more than once."""
    size, apart = place.row_bytes, place.apart
    if isinstance(rows, slice):
        start, stop, _ = rows.indices(place.shape[0])
        if stop <= start:
            return np.zeros(0, np.int64)
        last = place.offset + (stop - 1) * apart + size
        return np.arange((place.offset + start * apart) // BLOCK, -(-last // BLOCK))
    first = place.offset + rows.numpy() * apart
    widest = (size - 1) // BLOCK + 2  # blocks that a row can touch
    touched = (first // BLOCK)[:, None] + np.arange(widest)
    return touched[touched <= ((first + size - 1) // BLOCK)[:, None]]
