"""A segment as a generation reads it: its rows without those that were deleted since."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from melder.features import Rows
from melder.kb.manifest import SEGMENTS, Generation, SegmentEntry
from melder.kb.segment import Segment

__all__ = ["SegmentReader", "open_parts", "stored_rows"]


class SegmentReader:
    """A segment and its rows that live: those that were neither removed nor replaced.

    Args:
        segment: Opened.
        listed: What the manifest says of it.
    """

    def __init__(self, segment: Segment, listed: SegmentEntry) -> None:
        self.segment = segment
        self.listed = listed
        self.deleted_rows = frozenset(listed.deleted_rows)
        self.living = np.setdiff1d(
            np.arange(listed.rows), np.array(listed.deleted_rows, dtype=np.int64), assume_unique=True
        )

    def __len__(self) -> int:
        return len(self.living)

    def rows(self, start: int, stop: int) -> Rows:
        """The rows of the living ones from `start` to `stop`: a slice, without a copy, if none between is deleted."""
        chosen = self.living[start:stop]
        if chosen[-1] - chosen[0] == len(chosen) - 1:
            return slice(int(chosen[0]), int(chosen[-1]) + 1)
        return torch.from_numpy(chosen)

    def position(self, row: int) -> int:
        """Which of the living a living row is."""
        return int(np.searchsorted(self.living, row))


def open_parts(directory: Path, generation: Generation, *, trusted: bool) -> list[SegmentReader]:
    """The segments of a generation of the knowledge base `directory`, which are read by its codebook if it has one.

    Args:
        directory: Of the knowledge base.
        generation: Which is read.
        trusted: As for `Records`.

    Returns:
        In the order of the rows.

    Raises:
        MelderError: A file is missing or cut short.
    """
    codebook = generation.settings.codebook_file(directory)
    if codebook is not None:
        codebook.expected.check_size(codebook.path)
    paths = [(directory / SEGMENTS / entry.name, entry) for entry in generation.segments]
    return [
        SegmentReader(Segment(path, entry.digest, trusted=trusted, codebook=codebook), entry) for path, entry in paths
    ]


def stored_rows(
    parts: Sequence[SegmentReader], first: Sequence[int], rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where each of the rows [n] of entities is stored: the number of its part [n], and the row in that [n].

    Rows of a part begin at `first` [parts]. A few operations for all: one mention has a hundred candidates.

    Args:
        parts: Segments, in the order of the rows.
        first: [parts], the first row of each.
        rows: [n], of entities.

    Returns:
        [n] and [n], int64.
    """
    numbers = np.searchsorted(first, rows, side="right") - 1
    stored = rows - np.asarray(first)[numbers]
    for number in np.unique(numbers).tolist():
        if parts[number].deleted_rows:
            of_part = numbers == number
            stored[of_part] = parts[number].living[stored[of_part]]
    return numbers, stored
