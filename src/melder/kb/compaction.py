"""Merging small segments and those with deleted rows into full ones; nothing is encoded or rounded again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from melder.kb.format.packing import merge_rows
from melder.kb.knowledge_base import KnowledgeBase
from melder.kb.manifest import Generation, SegmentEntry
from melder.kb.segment import SEGMENT_ROWS, SegmentContents
from melder.kb.segment_reader import SegmentReader
from melder.kb.writer import Writer, collect_garbage
from melder.protocols import Progress

__all__ = ["compact", "to_merge"]

Rows = tuple[SegmentReader, np.ndarray]  # some living rows of a segment


def to_merge(base: KnowledgeBase) -> list[SegmentReader]:
    """The segments that `compact` would write anew: those that are not full or have deleted rows, unless there is just
    one that is not full.

    Args:
        base: Opened.

    Returns:
        In the order of their rows; none where there is nothing to do.
    """
    parts = [reader for reader in base.parts if reader.deleted_rows or len(reader) < SEGMENT_ROWS]
    return parts if len(parts) > 1 or any(reader.deleted_rows for reader in parts) else []


def compact(writer: Writer, progress: Progress | None = None) -> Generation:
    """A generation in which at most one segment is not full and none has deleted rows.

    Segments that are full and without deleted rows stay as they are; the others are written anew, and their entities
    come last then; exemplars become one part. Without anything to merge the current generation stays.

    Args:
        writer: Of the knowledge base, which holds its lock.
        progress: Told how many entities were written.

    Returns:
        The new generation, or the current one where there was nothing to merge.
    """
    parts, exemplars = to_merge(writer.base), writer.base.generation.exemplars
    if not parts and not _are_scattered(exemplars):
        collect_garbage(
            writer.base.directory, writer.base.generation
        )  # a merge that was killed may have left what it merged
        return writer.base.generation
    new = []
    for group in _groups(parts):
        new.append(writer.write(_contents(writer.base, group)))
        if progress is not None:
            progress(new[-1].rows)
    learned = [writer.write_exemplars(writer.base.exemplars)] if _are_scattered(exemplars) else exemplars
    return writer.commit(new, merged=[reader.listed.name for reader in parts], exemplars=learned)


def _are_scattered(exemplars: Sequence[SegmentEntry]) -> bool:
    """Whether exemplars are in several parts, or in one with deleted rows."""
    return len(exemplars) > 1 or any(listed.deleted_rows for listed in exemplars)


def _groups(parts: Sequence[SegmentReader]) -> Iterator[list[Rows]]:
    """Living rows in their order, as many as a full segment has together."""
    group, room = list[Rows](), SEGMENT_ROWS
    for reader in parts:
        rows = reader.living
        while len(rows):
            group.append((reader, rows[:room]))
            rows, room = rows[room:], room - len(rows[:room])
            if not room:
                yield group
                group, room = [], SEGMENT_ROWS
    if group:
        yield group


def _contents(base: KnowledgeBase, group: Sequence[Rows]) -> SegmentContents:
    return SegmentContents(
        entities=[entity for reader, rows in group for entity in base.records_of(reader).entities(rows.tolist())],
        sides=merge_rows([(reader.segment.sides, rows) for reader, rows in group]),
        pictures=_pictures(base, group),
        unreadable=_unreadable(base, group),
    )


def _pictures(base: KnowledgeBase, group: Sequence[Rows]) -> Iterator[tuple[tuple[int, int], bytes]]:
    place = 0
    for reader, rows in group:
        for row in rows.tolist():
            for number in base.records_of(reader).pictures(row):
                content = reader.segment.picture(row, number)
                assert content is not None
                yield (place, number), content
            place += 1


def _unreadable(base: KnowledgeBase, group: Sequence[Rows]) -> Mapping[str, str]:
    reasons: dict[str, str] = {}
    for reader, rows in group:
        reasons |= base.unreadable(reader, rows)
    return reasons
