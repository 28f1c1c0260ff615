"""Which picture files show the same."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melder.data.audit.fingerprints import Fingerprint, fingerprint
from melder.data.audit.near import near_pairs
from melder.data.pictures import UnreadablePicture
from melder.protocols import Counting

__all__ = ["Contents"]


@dataclass(frozen=True)
class Contents:
    """What the files of pictures show.

    Args:
        digests: Of the bytes.
        numbers: Files with equal pixels have one.
        near: The numbers of near-duplicates, by number.
        unreadable: Why a file could not be read.
        absent: Files that are not there.
    """

    digests: Mapping[Path, bytes]  # of the bytes
    numbers: Mapping[Path, int]
    near: Mapping[int, frozenset[int]]
    unreadable: Mapping[Path, str]
    absent: frozenset[Path]

    @classmethod
    def read(cls, paths: Iterable[Path], counting: Counting | None = None) -> Contents:
        """Read every file once, several at a time: decoders leave Python's lock to others."""
        files = {path: os.path.isfile(path) for path in paths}  # False, not an error, for a name too long
        present = [path for path, there in files.items() if there]
        prints: dict[Path, Fingerprint] = {}
        unreadable: dict[Path, str] = {}
        advance = counting("pictures", len(present)) if counting and present else None
        with ThreadPoolExecutor() as pool:
            for path, result in zip(present, pool.map(_attempt, present), strict=True):
                if isinstance(result, Fingerprint):
                    prints[path] = result
                else:
                    unreadable[path] = result
                if advance:
                    advance(1)
        absent = frozenset(path for path, there in files.items() if not there)
        return cls(_digests(prints), *_numbered(prints), unreadable, absent)

    def relation(self, one: Path, other: Path) -> str | None:
        """How alike two files are: "file", "bytes", "pixels", "near", or None for neither (or not readable)."""
        if one == other:
            return "file"
        if one not in self.numbers or other not in self.numbers:
            return None
        if self.digests[one] == self.digests[other]:
            return "bytes"
        if self.numbers[one] == self.numbers[other]:
            return "pixels"
        return "near" if self.numbers[other] in self.near.get(self.numbers[one], ()) else None


def _attempt(path: Path) -> Fingerprint | str:
    try:
        return fingerprint(path)
    except UnreadablePicture as error:
        return str(error)


def _digests(prints: Mapping[Path, Fingerprint]) -> dict[Path, bytes]:
    return {path: fingerprint.content for path, fingerprint in prints.items()}


def _numbered(prints: Mapping[Path, Fingerprint]) -> tuple[dict[Path, int], dict[int, frozenset[int]]]:
    """A number for each file, equal for equal pixels, and the near-duplicates of each number."""
    firsts = {fingerprint.pixels: fingerprint for fingerprint in prints.values()}
    places = {pixels: number for number, pixels in enumerate(firsts)}
    numbers = {path: places[fingerprint.pixels] for path, fingerprint in prints.items()}
    near: dict[int, set[int]] = defaultdict(set)
    if firsts:
        hashes = np.stack([fingerprint.hash for fingerprint in firsts.values()])
        smalls = np.stack([fingerprint.small for fingerprint in firsts.values()])
        for one, other in near_pairs(hashes, smalls).tolist():
            near[one].add(other)
            near[other].add(one)
    return numbers, {number: frozenset(others) for number, others in near.items()}
