"""A segment as a generation reads it: its rows without those that were deleted since."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from melder.features import Rows
from melder.kb.format.identities import hashes_of
from melder.kb.format.records import Records
from melder.kb.manifest import SEGMENTS, Generation, SegmentEntry
from melder.kb.segment import Segment

__all__ = ["SegmentReader", "open_parts", "rows_of_identities", "stored_rows"]


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

    def __len__(self) -> int:
        return self.listed.living

    @cached_property
    def living(self) -> np.ndarray:
        """The rows not deleted, [entities] int64 and ascending; made when needed, since most segments are whole."""
        deleted = np.array(self.listed.deleted_rows, dtype=np.int64)
        return np.setdiff1d(np.arange(self.listed.rows), deleted, assume_unique=True)

    def rows(self, start: int, stop: int) -> Rows:
        """The rows of the living ones from `start` to `stop`: a slice, without a copy, if none between is deleted."""
        if not self.deleted_rows:
            return slice(start, min(stop, len(self)))
        chosen = self.living[start:stop]
        if chosen[-1] - chosen[0] == len(chosen) - 1:
            return slice(int(chosen[0]), int(chosen[-1]) + 1)
        return torch.from_numpy(chosen)

    def position(self, row: int) -> int:
        """Which of the living a living row is."""
        return int(np.searchsorted(self.living, row)) if self.deleted_rows else row

    def stored_row(self, position: int) -> int:
        """The row of the living one at this position."""
        return int(self.living[position]) if self.deleted_rows else position


def open_parts(
    directory: Path, generation: Generation, *, trusted: bool, before: Sequence[SegmentReader] = ()
) -> list[SegmentReader]:
    """The segments of a generation of the knowledge base `directory`, which are read by its codebook if it has one.

    Args:
        directory: Of the knowledge base.
        generation: Which is read.
        trusted: As for `Records`.
        before: Those of another generation: segments that are the same are not opened again.

    Returns:
        In the order of the rows.

    Raises:
        MelderError: A file is missing or cut short.
    """
    codebook = generation.settings.codebook_file(directory)
    if codebook is not None:
        codebook.expected.check_size(codebook.path)
    opened = {(reader.listed.name, reader.listed.digest): reader.segment for reader in before}

    def segment(entry: SegmentEntry) -> Segment:
        if (old := opened.get((entry.name, entry.digest))) is not None:
            return old
        return Segment(directory / SEGMENTS / entry.name, entry.digest, trusted=trusted, codebook=codebook)

    return [SegmentReader(segment(entry), entry) for entry in generation.segments]


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


def rows_of_identities(
    parts: Sequence[SegmentReader], identities: Sequence[str], records_of: Callable[[SegmentReader], Records]
) -> Iterator[dict[str, int]]:
    """The living rows of entities.

    Args:
        parts: Segments.
        identities: Ids of entities.
        records_of: Opens those of a segment; asked only where an id may be.

    Yields:
        For each part the row there of each id that it has.

    Raises:
        MelderError: Something is damaged.
    """
    hashes = hashes_of(identities)
    for reader in parts:
        places = np.flatnonzero(reader.segment.may_hold(hashes)).tolist()
        stored = records_of(reader).rows([identities[place] for place in places]) if places else {}
        yield {identity: row for identity, row in stored.items() if row not in reader.deleted_rows}
