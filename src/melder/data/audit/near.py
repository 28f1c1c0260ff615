"""Finds all pairs of near-duplicate pictures without comparing every pair.

Two pictures are near-duplicates when their hashes differ in at most `BITS` of 256 bits **and** their shrunken
colours by at most `COLOURS` levels of 255 on average. What is re-encoded, resized or slightly brightened is found;
what is cropped, mirrored or photographed again is not.

Hashes that differ in 15 bits agree in at least one of their 16 words (the pigeonhole principle), so only pictures
with a word in common are compared: the search is exact.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from melder.data.audit.fingerprints import WORDS

__all__ = ["BITS", "COLOURS", "near_pairs"]

BITS = WORDS - 1  # of 256: the most for which the search by words is exact
COLOURS = 6.0  # levels of 255, mean over cells and channels
_AT_ONCE = 500_000  # pairs whose hashes are compared together: 16 MB

_ONES = np.array([number.bit_count() for number in range(2**16)], dtype=np.uint8)


def near_pairs(hashes: NDArray[np.uint16], smalls: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Pairs of pictures that are almost the same.

    Args:
        hashes: [n, 16], uint16.
        smalls: [n, rows, columns, 3], shrunken pictures.

    Returns:
        [pairs, 2], rows, the lower one first.
    """
    candidates = [np.empty((0, 2), dtype=np.int64)]
    for word in range(WORDS):
        for members in _alike(hashes[:, word]):
            candidates.extend(_close_hashes(members, hashes))
    pairs = np.unique(np.concatenate(candidates), axis=0)
    alike = [_difference(smalls, pair) <= COLOURS for pair in pairs]
    close: NDArray[np.int64] = pairs[np.array(alike, dtype=bool)]
    return close


def _alike(words: NDArray[np.uint16]) -> Iterator[NDArray[np.int64]]:
    """Indices of those with equal words, group by group, where there are two or more."""
    order = np.argsort(words, kind="stable")
    borders = np.flatnonzero(np.diff(words[order])) + 1
    return (group for group in np.split(order, borders) if len(group) > 1)


def _close_hashes(members: NDArray[np.int64], hashes: NDArray[np.uint16]) -> Iterator[NDArray[np.int64]]:
    """Pairs of `members`, sorted, whose hashes are close, some rows of the square of pairs at a time."""
    step = max(1, _AT_ONCE // len(members))
    for start in range(0, len(members), step):
        rows = members[start : start + step]
        bits = _ONES[hashes[rows][:, None] ^ hashes[members][None]].sum(axis=2, dtype=np.int64)
        row, column = np.nonzero(bits <= BITS)
        later = column > row + start
        yield np.stack([rows[row[later]], members[column[later]]], axis=1)


def _difference(smalls: NDArray[np.uint8], pair: NDArray[np.int64]) -> float:
    first, second = smalls[pair].astype(np.int16)
    return float(np.abs(first - second).mean())
