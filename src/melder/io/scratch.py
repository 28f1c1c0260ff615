"""Arrays that may be larger than memory while something is made of them."""

from __future__ import annotations

import tempfile
import weakref
from pathlib import Path
from typing import BinaryIO

import numpy as np

from melder.io.tensors import library_writes

__all__ = ["HELD", "ScratchRows", "scratch_array"]

HELD = 256 << 20  # bytes of an array that stay in memory


class ScratchRows:
    """Rows that come block by block, as one array: in memory, or where they take more than `HELD` bytes in a file of
    the system's temporary directory (`TMPDIR`) that has no name and goes with the array."""

    def __init__(self) -> None:
        self._blocks = list[np.ndarray]()
        self._rows, self._waiting = 0, 0
        self._file: BinaryIO | None = None

    def append(self, block: np.ndarray) -> None:
        """Add rows.

        Args:
            block: [n, …], of the type and width of those before.

        Raises:
            MelderError: The disk does not take them.
        """
        self._blocks.append(block)
        self._rows += len(block)
        self._waiting += block.nbytes
        if self._waiting > HELD:
            self._write()

    def array(self) -> np.ndarray:
        """All rows; there must have been a block, and no other may follow.

        Returns:
            [rows, …], one block after the other.
        """
        last = self._blocks[-1]
        if self._file is None:
            return last if len(self._blocks) == 1 else np.concatenate(self._blocks)
        self._write()
        return _mapped(self._file, last.dtype, (self._rows, *last.shape[1:]))

    def _write(self) -> None:
        with library_writes(Path(tempfile.gettempdir()), OSError):
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 (as long as this object)
                weakref.finalize(self, self._file.close)
            for block in self._blocks:
                self._file.write(np.ascontiguousarray(block).data)
            self._file.flush()
        self._blocks, self._waiting = [self._blocks[-1][:0]], 0


def scratch_array(rows: int, kind: np.dtype) -> np.ndarray:
    """An array to be filled, in memory or in such a file.

    Args:
        rows: How many numbers.
        kind: Of each.

    Returns:
        [rows], of any content.

    Raises:
        MelderError: The disk does not take it.
    """
    size = rows * kind.itemsize
    if size <= HELD:
        return np.empty(rows, kind)
    with library_writes(Path(tempfile.gettempdir()), OSError), tempfile.TemporaryFile() as file:
        file.truncate(size)
        return _mapped(file, kind, (rows,))


def _mapped(file: BinaryIO, kind: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    return np.memmap(file, kind, "r+", shape=shape).view(np.ndarray)  # slices of which are made faster
