"""Columns whose vectors are equal, so that an index holds each vector once."""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np

__all__ = ["EqualVectors"]


class EqualVectors:
    """Which rows have the same vector.

    Args:
        firsts: [rows] the first row that has the vector of each, int64
    """

    def __init__(self, firsts: np.ndarray) -> None:
        self.firsts = firsts.astype(np.int64)
        self._first_of: dict[bytes, int] = {}  # of vectors that were added here; those of a file are not read again
        self._gone = set[int]()

    @property
    def has_any(self) -> bool:
        """Whether there are equal vectors at all."""
        return bool((self.firsts != np.arange(len(self.firsts))).any())

    def add(self, vectors: np.ndarray) -> np.ndarray:
        """Take vectors [n, d] up as the next rows.

        Returns:
            the rows among these whose vectors are not there yet
        """
        start = len(self.firsts)
        digests = (hashlib.blake2b(vector.tobytes(), digest_size=16).digest() for vector in vectors)
        firsts = [self._first_of.setdefault(digest, row) for row, digest in enumerate(digests, start)]
        self.firsts = np.concatenate([self.firsts, np.array(firsts, dtype=np.int64)])
        self.__dict__.pop("_rows", None)
        return start + np.flatnonzero(self.firsts[start:] == np.arange(start, len(self.firsts)))

    def remove(self, rows: np.ndarray) -> np.ndarray:
        """Forget rows.

        Returns:
            the first rows of the vectors that no row has any more
        """
        self._gone.update(np.asarray(rows).tolist())
        firsts = np.unique(self.firsts[np.asarray(rows, dtype=np.int64)])
        empty = [first for first in firsts.tolist() if self._gone.issuperset(self._of(first).tolist())]
        self._first_of = {digest: first for digest, first in self._first_of.items() if first not in {*empty}}
        return np.array(empty, dtype=np.int64)

    def rows_of(self, firsts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All rows that have the vectors of these first ones, ascending for each, and the place of each one's
        vector among `firsts`."""
        groups = [self._living(first) for first in firsts.tolist()]
        places = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        return np.concatenate([np.zeros(0, np.int64), *groups]), places

    def _living(self, first: int) -> np.ndarray:
        rows = self._of(first)
        if not self._gone:
            return rows
        return np.array([row for row in rows.tolist() if row not in self._gone], dtype=np.int64)

    def _of(self, first: int) -> np.ndarray:
        order, starts = self._rows
        return order[starts[first] : starts[first + 1]]

    @cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        """All rows by their first ones, and where those of each begin."""
        counts = np.bincount(self.firsts, minlength=len(self.firsts))
        return np.argsort(self.firsts, kind="stable"), np.concatenate([[0], np.cumsum(counts)])
