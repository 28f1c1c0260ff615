"""The one process that may change a knowledge base: new segments, tombstones, and then a new generation.

Nothing that is there is changed. Until the new manifest is on the disk and CURRENT names it, the old generation is
the current one; what a crash leaves behind is listed nowhere, and the next writer removes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from melder.io.atomic import PART, remove
from melder.io.checksums import digest_of
from melder.io.locks import check_flock, exclusive_lock, is_shared
from melder.kb.exemplars import Exemplars, write_exemplars
from melder.kb.indexes import open_index, write_index
from melder.kb.knowledge_base import KnowledgeBase
from melder.kb.manifest import (
    CODEBOOKS,
    EXEMPLARS,
    GENERATIONS,
    INDEXES,
    LOCK,
    SEGMENTS,
    Generation,
    IndexEntry,
    KnowledgeBaseSettings,
    SegmentEntry,
    open_current,
    publish,
)
from melder.kb.segment import SegmentContents, write_segment
from melder.kb.segment_reader import rows_of_identities
from melder.records import MelderError

__all__ = ["Writer", "writer_lock"]


@contextmanager
def writer_lock(directory: Path) -> Iterator[None]:
    """Hold the lock of a knowledge base.

    Args:
        directory: Of the knowledge base.

    Yields:
        Nothing, while the lock is held.

    Raises:
        MelderError: Another process writes for longer than seconds.
    """
    busy = MelderError(f"{directory}: another process is changing this knowledge base; try again when it is done")
    with exclusive_lock(directory / LOCK, busy):
        yield


class Writer:
    """Changes a knowledge base, inside `with Writer.open(directory) as writer`; `base` is the newest generation.

    Args:
        base: The newest generation, opened.
    """

    def __init__(self, base: KnowledgeBase) -> None:
        self.base = base

    @staticmethod
    @contextmanager
    def open(directory: str | Path) -> Iterator[Writer]:
        """Wait for the lock and open the current generation.

        Raises:
            MelderError: Either fails.
        """
        check_flock(Path(directory))
        os.close(open_current(Path(directory))[1])  # no lock is laid into a directory that is no knowledge base
        with writer_lock(Path(directory)):
            writer = Writer(KnowledgeBase.open(directory))
            try:
                yield writer
            finally:
                writer.base.close()

    @property
    def settings(self) -> KnowledgeBaseSettings:
        return self.base.generation.settings

    def write(self, contents: SegmentContents) -> SegmentEntry:
        """Write a segment that the next generation is to list."""
        number = self.base.generation.number + 1
        identities = "\n".join(entity.id for entity in contents.entities)
        name = f"{number:06d}-{digest_of(identities.encode())[:12]}"
        path = self.base.directory / SEGMENTS / name
        remove(path)  # of an attempt that was not committed
        digest = write_segment(path, contents, self.settings.kind)
        return SegmentEntry(name=name, rows=len(contents.entities), digest=digest)

    def write_exemplars(self, exemplars: Exemplars) -> SegmentEntry:
        """Write a part that the next generation is to list."""
        keys = "\n".join(record.key for record in exemplars.records)
        name = f"{self.base.generation.number + 1:06d}-{digest_of(keys.encode())[:12]}"
        remove(self.base.directory / EXEMPLARS / name)  # of an attempt that was not committed
        return write_exemplars(self.base.directory, name, exemplars)

    def commit(
        self,
        new: Sequence[SegmentEntry] = (),
        *,
        deleted: Collection[str] = (),
        merged: Collection[str] = (),
        exemplars: Sequence[SegmentEntry] | None = None,
    ) -> Generation:
        """Make a generation of the segments there are, without those of the names `merged`, and of `new` ones.

        `deleted` are ids of entities that are no longer to be found in the segments there were. `exemplars` take the
        place of those there were; None: they stay.
        """
        entries = [mark_deleted(listed, gone) for listed, gone in self._rows(deleted) if listed.name not in merged]
        segments = (*(listed for listed in entries if listed.living), *new)
        return self._publish(segments, self._useful(segments), exemplars)

    def write_index(self, search: str, segments: Sequence[SegmentEntry], fill: Callable[[Path], None]) -> Generation:
        """Make a generation with an index for a search, in the place of an earlier one; `fill` writes its files.

        It is of the living rows of these segments, which may be those of an earlier generation.
        """
        current = self.base.generation
        name = f"{current.number + 1:06d}-{digest_of(search.encode())[:12]}"
        remove(self.base.directory / INDEXES / name)  # of an attempt that was not committed
        written = write_index(self.base.directory, name, search, segments, fill)
        others = (entry for entry in current.indexes if entry.search != search)
        return self._publish(current.segments, (*others, written))

    def remove_index(self, search: str) -> Generation:
        """Make a generation without the index of a search.

        Raises:
            MelderError: There is none.
        """
        current = self.base.generation
        entries = tuple(entry for entry in current.indexes if entry.search != search)
        if len(entries) == len(current.indexes):
            names = ", ".join(entry.search for entry in current.indexes) or "none"
            raise MelderError(f"{self.base.directory}: has no index for {search!r}; there are: {names}")
        return self._publish(current.segments, entries)

    def _useful(self, segments: Sequence[SegmentEntry]) -> tuple[IndexEntry, ...]:
        """The indexes that know any of the segments; one that cannot be read is given up."""
        names, useful = {listed.name for listed in segments}, list[IndexEntry]()
        for entry in self.base.generation.indexes:
            with suppress(MelderError):
                if names & {listed.name for listed in open_index(self.base.directory, entry).segments}:
                    useful.append(entry)
        return tuple(useful)

    def _publish(
        self,
        segments: tuple[SegmentEntry, ...],
        indexes: tuple[IndexEntry, ...],
        exemplars: Sequence[SegmentEntry] | None = None,
    ) -> Generation:
        directory, number = self.base.directory, self.base.generation.number + 1
        learned = self.base.generation.exemplars if exemplars is None else tuple(exemplars)
        generation = publish(directory, number, self.settings, segments, indexes, learned)
        self.base.close()
        collect_garbage(directory, generation)
        self.base = _reopened(self.base)
        return generation

    def _rows(self, identities: Collection[str]) -> Iterable[tuple[SegmentEntry, set[int]]]:
        """The living rows of the ids, segment by segment."""
        if not identities:
            return [(reader.listed, set()) for reader in self.base.parts]
        stored = rows_of_identities(self.base.parts, list(identities), self.base.records_of)
        return ((reader.listed, set(rows.values())) for reader, rows in zip(self.base.parts, stored, strict=True))


def _reopened(base: KnowledgeBase) -> KnowledgeBase:
    """The current generation, where `base` is an earlier one that was closed."""
    generation, descriptor = open_current(base.directory)
    try:
        return KnowledgeBase(base.directory, generation, descriptor, before=base.parts)
    except BaseException:
        os.close(descriptor)
        raise


def collect_garbage(directory: Path, current: Generation) -> list[str]:
    """Remove old generations that no process has open, and every segment, index and part of exemplars that none of the
    rest lists.

    A reader holds a shared lock on its manifest; a generation whose manifest can be locked alone has no reader, and
    gets none, since the manifest is removed before it is unlocked. The caller holds the writer's lock. Gives the
    names of what was removed.
    """
    wanted, removed = _names(current), list[str]()
    for path in sorted((directory / GENERATIONS).iterdir()):
        if path.name == f"{current.number:06d}.json":
            continue
        if _removed(path):
            removed.append(path.name)
        else:
            wanted |= _names(Generation.model_validate_json(path.read_bytes()))
    beside = (path for folder in (INDEXES, EXEMPLARS, CODEBOOKS) for path in (directory / folder).glob("*"))
    for path in sorted([*(directory / SEGMENTS).iterdir(), *beside]):
        if path.relative_to(directory).as_posix() not in wanted:
            remove(path)
            removed.append(path.name)
    return removed


def _names(generation: Generation) -> set[str]:
    """Where everything is that a generation lists, within the knowledge base."""
    segments = {f"{SEGMENTS}/{listed.name}" for listed in generation.segments}
    exemplars = {f"{EXEMPLARS}/{listed.name}" for listed in generation.exemplars}
    codebook = generation.settings.codebook
    codebooks = {f"{CODEBOOKS}/{codebook.name}"} if codebook is not None else set[str]()
    return segments | exemplars | codebooks | {f"{INDEXES}/{listed.name}" for listed in generation.indexes}


def _removed(path: Path) -> bool:
    """Remove a manifest that is not finished or has no reader, and say so."""
    if path.name.endswith(PART):
        remove(path)
        return True
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if is_shared(descriptor):
            return False
        remove(path)  # while it is locked: a reader that waits for it then finds it gone, and looks again
    finally:
        os.close(descriptor)
    return True


def mark_deleted(listed: SegmentEntry, gone: set[int]) -> SegmentEntry:
    return listed.model_copy(update={"deleted_rows": tuple(sorted({*listed.deleted_rows, *gone}))}) if gone else listed
