"""Digests of files by blocks: what is read is checked when it is first read, not the whole file when it is opened."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from melder.records import MelderError

__all__ = ["BLOCK", "BlockFile", "ChecksummedFile", "WholeFile", "damaged", "digest_blocks", "digest_of"]

BLOCK = 1 << 16  # bytes: little enough that a few rows of each tensor are checked in a millisecond
PIECE = 1 << 20  # bytes of a whole file read at once: a model may be larger than memory
WIDTH = 32  # hexadecimal digits of a block's digest, the first half of SHA-256


class _Sized(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(ge=0)

    def check_size(self, path: Path) -> None:
        """Raises MelderError when the file is missing or has another size."""
        try:
            size = os.stat(path).st_size
        except OSError as error:
            raise damaged(path, f"cannot be read ({error.strerror})") from None
        if size != self.size:
            raise damaged(path, f"has {size:,} bytes, not {self.size:,}")


class BlockFile(_Sized):
    """A file's size in bytes, and the digests of its blocks, one after the other."""

    blocks: str


class WholeFile(_Sized):
    """A file's size in bytes and its SHA-256; for files that are read as a whole."""

    digest: str

    @staticmethod
    def of(path: Path) -> WholeFile:
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
                size += len(piece)
        return WholeFile(size=size, digest=digest.hexdigest())

    def is_same(self, path: Path) -> bool:
        """Whether a file, perhaps another one, holds the same."""
        return path.is_file() and path.stat().st_size == self.size and WholeFile.of(path) == self

    def check(self, path: Path) -> None:
        """Raises MelderError when the file is not what was written."""
        self.check_size(path)
        if not self.is_same(path):
            raise damaged(path, "is not what was written")


def digest_of(content: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_blocks(path: Path) -> BlockFile:
    """Read a file through for its size and its blocks' digests."""
    digests, size = [], 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digests.append(_digest(block))
            size += len(block)
    return BlockFile(size=size, blocks="".join(digests))


class ChecksummedFile:
    """Checks the blocks of one file, each once, when the bytes in them are first asked for."""

    def __init__(self, path: Path, expected: BlockFile) -> None:
        self.path = path
        self.expected = expected
        self.seen = np.zeros(-(-expected.size // BLOCK), dtype=bool)

    def check(self, numbers: np.ndarray, content: memoryview) -> None:
        """Check the blocks of these numbers; `content` is the whole file. Raises MelderError."""
        for number in np.unique(numbers[~self.seen[numbers]]).tolist():
            self._check(number, content[number * BLOCK : (number + 1) * BLOCK])

    def read(self, start: int, size: int) -> bytes:
        """Bytes read from the file, checked."""
        first = start // BLOCK * BLOCK
        last = min(-(-(start + size) // BLOCK) * BLOCK, self.expected.size)
        with self.path.open("rb") as file:
            file.seek(first)
            content = file.read(last - first)
        for number in range(first // BLOCK, -(-last // BLOCK)):
            if not self.seen[number]:
                self._check(number, memoryview(content)[number * BLOCK - first :][:BLOCK])
        return content[start - first : start - first + size]

    def check_all(self) -> None:
        """Read the whole file and check it, as long as that was not done before."""
        if not self.seen.all():
            for fault in self.faults():
                raise fault

    def faults(self) -> Iterator[MelderError]:
        """What is wrong with the file as it is on the disk now, block by block."""
        try:
            self.expected.check_size(self.path)
        except MelderError as error:
            yield error
            return
        with self.path.open("rb") as file:
            for number in range(len(self.seen)):
                try:
                    self._check(number, memoryview(file.read(BLOCK)))
                except MelderError as error:
                    yield error

    def _check(self, number: int, block: memoryview) -> None:
        if _digest(block) != self.expected.blocks[number * WIDTH : (number + 1) * WIDTH]:
            raise damaged(self.path, f"block {number} (from byte {number * BLOCK:,}) is not what was written")
        self.seen[number] = True


def damaged(path: Path, reason: str) -> MelderError:
    return MelderError(f"{path}: {reason}; the knowledge base is damaged: copy it again, or build it again")


def _digest(block: bytes | memoryview) -> str:
    return hashlib.sha256(block).hexdigest()[:WIDTH]
