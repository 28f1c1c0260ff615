"""Squares of pictures given as bytes: a service decodes each before it queues, and the encoder reads it later."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np

__all__ = ["SquareCache"]

MEGABYTES = 48  # a service's whole queue of pictures, at 224 pixels


class SquareCache:
    """The squares of the last few pictures, by what the pictures are and by the length of a side. Threads may share
    it; a copy, such as workers that prepare batches are sent, is empty."""

    def __init__(self, megabytes: int = MEGABYTES) -> None:
        self._megabytes, self._room = megabytes, megabytes * 2**20
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
