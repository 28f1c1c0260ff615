"""What a search was prepared with, stored beside the segments that it was made of: `indexes/NAME/`.

index.json    the search, the segments, and the files' digests; written last
…             files, which the one who wrote them reads

An index stays true when entities are added or removed: it says which rows of which segments it knows, in its order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from melder.io.atomic import writing
from melder.io.checksums import WholeFile, digest_of
from melder.io.file_names import FileName
from melder.kb.manifest import INDEXES, IndexEntry, SegmentEntry
from melder.kb.segment_reader import SegmentReader
from melder.records import MelderError

__all__ = ["StoredIndex", "index_faults", "open_index", "write_index"]

DESCRIPTION = "index.json"


class _Description(BaseModel):
    """What index.json holds; `segments` with the rows that were deleted then, of which the index knows nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    segments: tuple[SegmentEntry, ...]
    files: dict[FileName, WholeFile]


class StoredIndex:
    """An index of a knowledge base: its directory, and the segments whose living rows it holds, in that order.

    Args:
        path: Its directory.
        description: What is in it.
        trusted: Otherwise files that are not arrays are tried in another process first.
    """

    def __init__(self, path: Path, description: _Description, *, trusted: bool = True) -> None:
        self.path = path
        self.trusted = trusted  # else files that are not arrays are tried in another process first
        self.segments: Sequence[SegmentEntry] = description.segments
        self._files = description.files

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self._files.values())

    def rows(self, parts: Sequence[SegmentReader]) -> np.ndarray:
        """[entities of the index] int64: their rows in a knowledge base of these parts; -1 for those gone since."""
        by_segment, pieces, first = dict[tuple[str, str], np.ndarray](), [np.zeros(0, dtype=np.int64)], 0
        for reader in parts:
            rows = np.full(reader.listed.rows, -1, dtype=np.int64)
            rows[reader.living] = first + np.arange(len(reader))
            by_segment[reader.listed.name, reader.listed.digest], first = rows, first + len(reader)
        for listed in self.segments:
            gone = np.full(listed.rows, -1, dtype=np.int64)
            deleted = np.array(listed.deleted_rows, dtype=np.int64)
            pieces.append(np.delete(by_segment.get((listed.name, listed.digest), gone), deleted))
        return np.concatenate(pieces)

    def check(self) -> None:
        """Read all files through: a graph that is damaged would end the process. Raises MelderError."""
        for fault in self.faults():
            raise MelderError(fault)

    def faults(self) -> Iterator[str]:
        """One line for each file that is not as it was written."""
        for name, file in self._files.items():
            if not file.is_same(self.path / name):
                yield str(_damaged(self.path / name))


def write_index(
    directory: Path, name: str, search: str, segments: Sequence[SegmentEntry], fill: Callable[[Path], None]
) -> IndexEntry:
    """Write an index of these segments' living rows; `fill` writes its files. It is there as a whole or not at all.

    Args:
        directory: Of the knowledge base.
        name: Of the index, which is new.
        search: The name of the search that it is for, such as hnsw.
        segments: Whose living rows it holds, in this order.
        fill: Writes its files into a directory.

    Returns:
        What a manifest lists.
    """
    with writing(directory / INDEXES / name) as partial:
        fill(partial)
        paths = sorted(path for path in partial.rglob("*") if path.is_file())
        files = {path.relative_to(partial).as_posix(): WholeFile.of(path) for path in paths}
        content = _Description(segments=tuple(segments), files=files).model_dump_json(by_alias=True).encode()
        (partial / DESCRIPTION).write_bytes(content)
    return IndexEntry(name=name, search=search, digest=digest_of(content))


def open_index(directory: Path, listed: IndexEntry, *, trusted: bool = True) -> StoredIndex:
    """An index of a knowledge base, of which only the description is read.

    Args:
        directory: Of the knowledge base.
        listed: What its manifest lists.
        trusted: As for `StoredIndex`.

    Returns:
        The index.

    Raises:
        MelderError: Its description is missing or damaged.
    """
    path = directory / INDEXES / listed.name / DESCRIPTION
    try:
        content = path.read_bytes()
        if digest_of(content) == listed.digest:
            return StoredIndex(path.parent, _Description.model_validate(json.loads(content)), trusted=trusted)
    except (OSError, ValueError, ValidationError, RecursionError):
        pass
    raise _damaged(path)


def index_faults(directory: Path, listed: IndexEntry) -> list[str]:
    """Everything that is wrong with an index, each file read; one line a fault.

    Args:
        directory: Of the knowledge base.
        listed: What its manifest lists.

    Returns:
        Lines that name a file.
    """
    try:
        return list(open_index(directory, listed).faults())
    except MelderError as error:
        return [str(error)]


def _damaged(path: Path) -> MelderError:
    return MelderError(f"{path}: is missing or not what was written; make the index again with `melder kb index`")
