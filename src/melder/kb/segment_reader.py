"""A segment as a generation reads it: its rows without those that were deleted since."""

from __future__ import annotations

import numpy as np
import torch

from melder.features import Rows
from melder.kb.manifest import SegmentEntry
from melder.kb.segment import Segment

__all__ = ["SegmentReader"]


class SegmentReader:
    """A segment and its rows that live: those that were neither removed nor replaced."""

    def __init__(self, segment: Segment, listed: SegmentEntry) -> None:
        self.segment = segment
        self.listed = listed
        self.dead = frozenset(listed.dead)
        self.living = np.setdiff1d(np.arange(listed.rows), np.array(listed.dead, dtype=np.int64), assume_unique=True)

    def __len__(self) -> int:
        return len(self.living)

    def rows(self, start: int, stop: int) -> Rows:
        """The rows of the living ones from `start` to `stop`: a slice, which needs no copy, if none between is dead."""
        chosen = self.living[start:stop]
        if chosen[-1] - chosen[0] == len(chosen) - 1:
            return slice(int(chosen[0]), int(chosen[-1]) + 1)
        return torch.from_numpy(chosen)

    def position(self, row: int) -> int:
        """Which of the living a living row is."""
        return int(np.searchsorted(self.living, row))
