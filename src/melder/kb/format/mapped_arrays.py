"""The arrays of a file, memory-mapped: nothing is read before it is asked for, and it is checked by digests then."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from melder.features import Rows
from melder.io.checksums import BLOCK, BlockFile, ChecksummedFile, damaged
from melder.kb.format.arrays import ArrayLayout, ArraySpec, FlatArrays, PictureArrays
from melder.kb.format.codebook import Codebook, CodebookFile

__all__ = ["MappedArrays"]


class MappedArrays:
    """The arrays of a file. Mapping happens at the first reading; no file stays open.

    Args:
        path: Of the file.
        places: Where each array is.
        expected: The file's size and the digests of its blocks, which are checked when they are first read.
        flat: Which arrays hold names one after the other, without padding.
        pictures: Which hold further pictures so.
        codebook: What residuals are decoded by, where there are any.
    """

    def __init__(
        self,
        path: Path,
        places: Mapping[str, ArraySpec],
        expected: BlockFile,
        flat: Sequence[FlatArrays] = (),
        pictures: Sequence[PictureArrays] = (),
        codebook: CodebookFile | None = None,
    ) -> None:
        self.path = path
        self.places = places
        self.codebook_file = codebook
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

    @property
    def codebook(self) -> Codebook | None:
        """What arrays of residuals are read with. Raises MelderError when it is damaged."""
        return None if self.codebook_file is None else self.codebook_file.read()

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
