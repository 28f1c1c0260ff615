"""Squares of pictures that were decoded: of files, which every epoch reads again, and of pictures given as bytes, each
of which a service decodes before it queues and the encoder reads later."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

__all__ = ["FileSquares", "SquareCache"]

_MEGABYTE = 2**20
MEGABYTES = 48  # a service's whole queue of pictures, at 224 pixels


class FileSquares:
    """The squares of the first files to come, as many as there is room for. Threads may share it; a copy is empty.

    Args:
        megabytes: of squares that are held
    """

    def __init__(self, megabytes: int) -> None:
        self._megabytes, self._room = megabytes, megabytes * _MEGABYTE
        self._squares: dict[tuple[Path, int, int], np.ndarray] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return FileSquares, (self._megabytes,)

    def square(self, file: Path, side: int, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """The [side, side, 3] square of a picture, which `decode` makes unless it is here."""
        key = _file_key(file, side)
        square = self._squares.get(key) if key is not None else None
        if square is not None:
            return square
        square = decode()
        if key is not None:
            self._keep(key, square)
        return square

    def _keep(self, key: tuple[Path, int, int], square: np.ndarray) -> None:
        with self._lock:
            if key not in self._squares and square.nbytes <= self._room:
                self._room -= square.nbytes
                self._squares[key] = square


class SquareCache:
    """The squares of the last few pictures, by what the pictures are and by the length of a side. Threads may share
    it; a copy, such as workers that prepare batches are sent, is empty.

    Args:
        megabytes: of squares that are held
    """

    def __init__(self, megabytes: int = MEGABYTES) -> None:
        self._megabytes, self._room = megabytes, megabytes * _MEGABYTE
        self._squares: OrderedDict[tuple[bytes, int], np.ndarray] = OrderedDict()
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return SquareCache, (self._megabytes,)

    def square(self, content: bytes, side: int, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """The [side, side, 3] square of a picture, which `decode` makes unless it is here."""
        key = hashlib.blake2b(content, digest_size=16).digest(), side
        with self._lock:
            if key in self._squares:
                self._squares.move_to_end(key)
                return self._squares[key]
        square = decode()
        with self._lock:
            self._keep(key, square)
        return square

    def _keep(self, key: tuple[bytes, int], square: np.ndarray) -> None:
        if key not in self._squares:
            self._squares[key] = square
            self._room -= square.nbytes
        while self._room < 0:
            _, oldest = self._squares.popitem(last=False)
            self._room += oldest.nbytes


def _file_key(file: Path, side: int) -> tuple[Path, int, int] | None:
    """A file that changes is another picture; a file that is not there has no key."""
    try:
        return file, file.stat().st_mtime_ns, side
    except OSError:
        return None
