"""A knowledge base on disk, read: one generation, however it is changed meanwhile."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path, PurePath
from threading import RLock

import numpy as np
import torch
from torch import Tensor

from melder.features import Side, concatenate
from melder.io.open_files import open_files_allowed
from melder.kb.entities import Entities
from melder.kb.format.packing import bytes_restored
from melder.kb.format.records import Records
from melder.kb.gather import gather, gatherable
from melder.kb.indexes import StoredIndex, open_index
from melder.kb.manifest import CURRENT, MODEL, SEGMENTS, Generation, open_current
from melder.kb.segment import Segment
from melder.kb.segment_reader import SegmentReader
from melder.records import BadRecord, Entity, MelderError

__all__ = ["TOLD", "KnowledgeBase"]

BLOCK_BYTES = 32 << 20  # of sides in float32 that are held at once: much beside a cache, little beside a model
TOLD = ("metrics.json", "environment.json", "config.yaml", "nil.json")  # of a run: sides do not depend on them
SCATTERED = 64  # rows of a segment, at most, that are quicker read one by one
FILES = 256  # SQLite files open at once, or a quarter of what the system allows a process: opening one takes as long
#              as ten queries, and of a million entities every segment is asked for some


class KnowledgeBase:
    """A generation of a knowledge base; its entities are its columns 0, 1, … in the order of segments and rows.

    Nothing but the manifest and the descriptions of segments is read when it is opened; sides are memory-mapped, and
    what is read is checked against its digest when it is first read. Threads may share it. `close` lets a writer
    remove what only this generation needs.

    Args:
        shards: The knowledge bases that it is made of, if it is a set of such.
    """

    shards: Sequence[KnowledgeBase] = ()

    has_records = True
    has_sides = True  # of every entity, made by the model that it was built with

    def __init__(self, directory: Path, generation: Generation, descriptor: int) -> None:
        self.directory = directory
        self.generation = generation
        self.skipped: list[BadRecord] = []  # as a data set's; bad records never get into a knowledge base
        self._descriptor: int | None = descriptor
        self._open: OrderedDict[str, Records] = OrderedDict()
        self._lock = RLock()
        for name, file in generation.settings.identity.files.items():
            file.check_size(self.model / name)
        segments = [(Segment(directory / SEGMENTS / entry.name, entry.digest), entry) for entry in generation.segments]
        self.parts = [SegmentReader(segment, entry) for segment, entry in segments]
        self._first = [0, *accumulate(len(reader) for reader in self.parts)]
        self.entities = Entities(self)

    @staticmethod
    def open(path: str | Path) -> KnowledgeBase:
        """The current generation; `open_knowledge_base` opens sets of shards as well.

        Raises:
            MelderError: There is none, or when a file is missing or cut short.
        """
        generation, descriptor = open_current(Path(path))
        try:
            return KnowledgeBase(Path(path), generation, descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the generation up; sides that were taken stay readable."""
        for reader in self.parts:
            reader.segment.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __len__(self) -> int:
        """The number of entities."""
        return self._first[-1]

    @property
    def model(self) -> Path:
        """The run that its sides were made with."""
        return self.directory / MODEL

    def check_model(self, run: Path | None = None) -> None:
        """Read the model's files through.

        Raises:
            MelderError: One is not what was written, or not that of `run`.
        """
        for name, file in self.generation.settings.identity.files.items():
            file.check(self.model / name)
            if run is not None and run != self.model and name not in TOLD and not file.is_same(run / name):
                raise MelderError(f"{self.directory}: was built with another model than {run} ({name} differs)")

    @property
    def is_current(self) -> bool:
        """Whether no newer generation has taken its place."""
        return (self.directory / CURRENT).read_text(encoding="ascii").startswith(f"{self.version}.json")

    @property
    def version(self) -> str:
        """What is another one after each change: the number of the generation, of shards those of all."""
        return f"{self.generation.number:06d}"

    def columns(self, identities: Sequence[str]) -> dict[str, int]:
        """The column of each id that is here."""
        columns: dict[str, int] = {}
        for reader, first in zip(self.parts, self._first, strict=False):
            rows = self.records_of(reader).rows(identities)
            columns |= {
                identity: first + reader.position(row) for identity, row in rows.items() if row not in reader.dead
            }
        return columns

    def typed(self, types: Sequence[str], *, every: bool = False) -> np.ndarray:
        """Ascending columns of the entities that have any of some types, or with `every` all of them."""
        columns = [np.zeros(0, dtype=np.int64)]
        for reader, first in zip(self.parts, self._first, strict=False):
            rows = np.array(self.records_of(reader).typed(types, every=every), dtype=np.int64)
            columns.append(first + np.flatnonzero(np.isin(reader.living, rows)))
        return np.concatenate(columns)

    @property
    def searches(self) -> list[str]:
        """What something is stored for."""
        return [listed.search for listed in self.generation.indexes]

    def indexes(self, search: str) -> list[StoredIndex]:
        """What is stored for a search, each of other entities.

        Raises:
            MelderError: A description is damaged.
        """
        return [open_index(self.directory, listed) for listed in self.generation.indexes if listed.search == search]

    def stored_searches(self, search: str) -> list[tuple[StoredIndex, np.ndarray]]:
        """The same with the [entities] columns of each; -1 for an entity that is gone since."""
        return [(stored, stored.columns(self.parts)) for stored in self.indexes(search)]

    def blocks(self) -> Iterator[tuple[int, Side]]:
        """All sides in float32, a block at a time: the block's first column, and the sides of it and those after it.

        A block takes about `BLOCK_BYTES`; small segments share one.
        """
        first, gathered, size = 0, list[Side](), 0
        for side, cost in self._pieces():
            if gathered and size + cost > BLOCK_BYTES:
                yield first, _together(gathered)
                first, gathered, size = first + sum(piece.rows for piece in gathered), [], 0
            gathered.append(side)
            size += cost
        if gathered:
            yield first, _together(gathered)

    def side(self, columns: Tensor, units: Collection[str] | None = None) -> Side:
        """The sides of some columns, in float32 and in their order; of these units, by default of all."""
        rows = [(reader.segment.sides, row) for reader, row in map(self._place, columns.tolist())]
        segments = {arrays for arrays, _ in rows}
        if len(rows) <= SCATTERED * len(segments) and gatherable(segments):
            return gather(rows, units)
        order, sides = [], []
        for number, places in self._by_part(columns.tolist()).items():
            reader = self.parts[number]
            chosen = reader.living[[column - self._first[number] for _, column in places]]
            sides.append(reader.segment.side(torch.from_numpy(chosen), units))
            order += [place for place, _ in places]
        return concatenate(sides).take(torch.tensor(order).argsort())

    def picture(self, column: int, number: int = 0) -> bytes | None:
        """A stored picture of an entity; None when it has none, or none was kept."""
        reader, row = self._place(column)
        self.records_of(reader)
        return reader.segment.picture(row, number)

    def entity_picture(self, entity: Entity, number: int = 0) -> bytes | None:
        """A picture of an entity of this knowledge base, by default its first."""
        return self.picture(self.columns([entity.id])[entity.id], number) if entity.images else None

    def named(self, name: str) -> list[int]:
        """Columns of entities with just this name or alias, as names are compared (melder/names.py); where there are
        none, of those with it but for diacritics."""
        return self._named(name, Records.named) or self._named(name, Records.named_but_for_accents)

    def search(self, query: str, limit: int = 10) -> list[int]:
        """Columns of entities with every word of the query in a name or an alias, the last word perhaps only begun;
        the best (BM25) first."""
        hits = [
            (-score, first + reader.position(row))
            for reader, first in zip(self.parts, self._first, strict=False)
            for row, score in self.records_of(reader).search(query, limit + len(reader.dead))
            if row not in reader.dead
        ]
        return [column for _, column in sorted(hits)[:limit]]

    def records(self, columns: Sequence[int]) -> list[Entity]:
        """The entities of some columns, in their order."""
        by_place: dict[int, Entity] = {}
        for number, places in self._by_part(columns).items():
            reader = self.parts[number]
            rows = [int(reader.living[column - self._first[number]]) for _, column in places]
            entities = self.records_of(reader).entities(rows)
            by_place |= {place: entity for (place, _), entity in zip(places, entities, strict=True)}
        return [by_place[place] for place in range(len(columns))]

    def records_of(self, reader: SegmentReader) -> Records:
        """The records of a part, of which only the last `FILES` used stay open."""
        with self._lock:
            self._open[reader.listed.name] = reader.segment.records
            self._open.move_to_end(reader.listed.name)
            if len(self._open) > _files_at_once():
                self._open.popitem(last=False)[1].close()
        return reader.segment.records

    def unreadable(self, reader: SegmentReader, rows: np.ndarray | None = None) -> dict[str, str]:
        """Why pictures of some entities of a part (None = all that live) could not be read, by the pictures' paths."""
        reasons = reader.segment.description.unreadable
        if not reasons:
            return {}
        entities = self.records_of(reader).entities((reader.living if rows is None else rows).tolist())
        named = {PurePath(name).parts for entity in entities for name in entity.images}
        parts = {path: PurePath(path).parts for path in reasons}  # of which a record names the last ones
        return {
            path: reason
            for path, reason in reasons.items()
            if any(parts[path][start:] in named for start in range(len(parts[path])))
        }

    def _pieces(self) -> Iterator[tuple[Side, int]]:
        for reader in self.parts:
            pending = [(0, len(reader))]
            while pending:
                start, stop = pending.pop()
                rows = reader.rows(start, stop)
                around = rows if isinstance(rows, slice) else slice(int(rows[0]), int(rows[-1]) + 1)
                cost = bytes_restored(reader.segment.sides, around)
                if cost > BLOCK_BYTES and stop - start > 1:
                    middle = (start + stop) // 2
                    pending += [(middle, stop), (start, middle)]
                else:
                    yield reader.segment.side(rows), cost

    def _named(self, name: str, rows: Callable[[Records, str], list[int]]) -> list[int]:
        return [
            first + reader.position(row)
            for reader, first in zip(self.parts, self._first, strict=False)
            for row in rows(self.records_of(reader), name)
            if row not in reader.dead
        ]

    def _place(self, column: int) -> tuple[SegmentReader, int]:
        number = bisect_right(self._first, column) - 1
        return self.parts[number], int(self.parts[number].living[column - self._first[number]])

    def _by_part(self, columns: Sequence[int]) -> Mapping[int, list[tuple[int, int]]]:
        """(place, column) of the columns, by the number of their part."""
        by_part: dict[int, list[tuple[int, int]]] = {}
        for place, column in enumerate(columns):
            by_part.setdefault(bisect_right(self._first, column) - 1, []).append((place, column))
        return by_part


def _files_at_once() -> int:
    allowed = open_files_allowed()
    return FILES if allowed is None else min(FILES, allowed // 4)


def _together(sides: Iterable[Side]) -> Side:
    gathered = list(sides)
    return gathered[0] if len(gathered) == 1 else concatenate(gathered)
