"""Raw arrays one after the other in a file, memory-mapped when they are read.

They share a file so that a segment costs one mapping, one fsync and no open file; each starts at a multiple of 64
bytes. Nothing is read before it is asked for, and it is checked against its digests then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from melder.features import Rows
from melder.kb.digests import BLOCK, BlockFile, Checked, damaged

__all__ = ["KINDS", "MappedArrays", "Place", "write_arrays"]

ALIGNMENT = 64  # bytes: a cache line, and more than any type needs
KINDS: dict[str, torch.dtype] = {
    "bool": torch.bool,
    "int8": torch.int8,
    "int32": torch.int32,
    "int64": torch.int64,
    "float16": torch.float16,
    "float32": torch.float32,
}


class Place(BaseModel):
    """Where an array is in its file: the first byte, its type and shape; rows are stored one after the other."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    offset: int = Field(ge=0)
    kind: str
    shape: tuple[int, ...]

    @cached_property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * KINDS[self.kind].itemsize

    @property
    def end(self) -> int:
        return self.offset + self.shape[0] * self.row_bytes


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Place]:
    """Write little-endian arrays of the types in `KINDS` to a new file; says where each is."""
    places = {}
    with path.open("wb") as file:
        for name, array in arrays.items():
            file.write(bytes(-file.tell() % ALIGNMENT))
            places[name] = Place(offset=file.tell(), kind=array.dtype.name, shape=array.shape)
            file.write(np.ascontiguousarray(array).data if array.size else b"")
    return places


class MappedArrays:
    """The arrays of a file. Mapping happens at the first reading; no file stays open."""

    def __init__(self, path: Path, places: Mapping[str, Place], expected: BlockFile) -> None:
        self.path = path
        self.places = places
        self.checked = Checked(path, expected)
        self._mapped: Tensor | None = None

    def rows(self, name: str, rows: Rows) -> Tensor:
        """Rows of an array: of a slice a view of the mapping, else a copy. Raises MelderError for damaged blocks."""
        place, content = self.places[name], self._content()
        whole = content[place.offset : place.end].view(KINDS[place.kind]).view(place.shape)
        if not place.row_bytes:
            return whole[rows]
        self.checked.check(_blocks(rows, place), content.numpy().data)
        return whole[rows]

    def part(self, start: int, stop: int) -> memoryview:
        """Some bytes of the file, checked."""
        content, first, last, seen = self._bytes, start // BLOCK, (stop - 1) // BLOCK, self._seen
        if start < stop and not (seen[first] and seen[last] and last - first < 2):
            self.checked.check(np.arange(first, last + 1), content)
        return content[start:stop]

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


def _blocks(rows: Rows, place: Place) -> np.ndarray:
    """The numbers of the file's blocks that rows of an array lie in, some perhaps more than once."""
    size = place.row_bytes
    if isinstance(rows, slice):
        start, stop, _ = rows.indices(place.shape[0])
        return np.arange((place.offset + start * size) // BLOCK, -(-(place.offset + max(start, stop) * size) // BLOCK))
    first = place.offset + rows.numpy() * size
    widest = (size - 1) // BLOCK + 2  # blocks that a row can touch
    touched = (first // BLOCK)[:, None] + np.arange(widest)
    return touched[touched <= ((first + size - 1) // BLOCK)[:, None]]
