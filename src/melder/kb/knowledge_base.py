"""A knowledge base on disk, read: one generation, however it is changed meanwhile."""

from __future__ import annotations

import os
import weakref
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from threading import RLock

import numpy as np
import torch
from torch import Tensor

from melder.features import Side, concatenate
from melder.io.open_files import files_at_once
from melder.kb.blocks import side_blocks
from melder.kb.entities import Entities
from melder.kb.exemplars import Exemplars, read_exemplars
from melder.kb.format.records import Records
from melder.kb.gather import gather, gatherable
from melder.kb.indexes import StoredIndex, open_index
from melder.kb.manifest import CURRENT, MODEL, Generation, decides_sides, open_current
from melder.kb.pictures import reasons_of
from melder.kb.segment_reader import SegmentReader, open_parts, rows_of_identities, stored_rows
from melder.kb.untrusted import check_encoder_files, check_segment, check_tree
from melder.records import BadRecord, Entity, MelderError

__all__ = ["KnowledgeBase"]

SCATTERED = 64  # rows of a segment, at most, that are quicker read one by one


class KnowledgeBase:
    """A generation of a knowledge base; its entities are its rows 0, 1, … in the order of segments.

    Nothing but the manifest and the descriptions of segments is read when it is opened; sides are memory-mapped, and
    what is read is checked against its digest when it is first read. Threads may share it. `close`, the end of a `with`
    block and the end of the object give up its files and its lock, so that a writer may remove what only this
    generation needs.

    Args:
        before: Parts of an earlier generation, which was closed: what is the same is not opened again.
        shards: The knowledge bases that it is made of, if it is a set of such.
    """

    shards: Sequence[KnowledgeBase] = ()

    has_records = True
    has_sides = True  # of every entity, made by the model that it was built with

    def __init__(
        self,
        directory: Path,
        generation: Generation,
        descriptor: int,
        *,
        trusted: bool = True,
        before: Sequence[SegmentReader] = (),
    ) -> None:
        self.directory = directory
        self._trusted = trusted
        self.generation = generation
        self.skipped: list[BadRecord] = []  # as a data set's; bad records never get into a knowledge base
        self._open: OrderedDict[str, Records] = OrderedDict()
        self._lock = RLock()
        for name, file in generation.settings.identity.files.items():
            file.check_size(self.model / name)
        self.parts = open_parts(directory, generation, trusted=trusted, before=before)
        self._first = [0, *accumulate(len(reader) for reader in self.parts)]
        self._release = weakref.finalize(self, _release, self.parts, descriptor)

    @staticmethod
    def open(path: str | Path, *, trusted: bool = True) -> KnowledgeBase:
        """The current generation; `open_knowledge_base` opens sets of shards as well.

        Args:
            trusted: False: it is a stranger's, and is first checked against what it says of itself.

        Raises:
            MelderError: There is none, or when a file is missing or cut short.
        """
        if not trusted:
            check_tree(Path(path))
        generation, descriptor = open_current(Path(path))
        try:
            base = KnowledgeBase(Path(path), generation, descriptor, trusted=trusted)
        except BaseException:
            os.close(descriptor)
            raise
        if not trusted:
            check_encoder_files(base.model)
            for reader in base.parts:
                check_segment(reader)
        return base

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the generation up; sides that were taken stay readable, nothing else can be read."""
        self._release()

    @property
    def is_closed(self) -> bool:
        return not self._release.alive

    @property
    def entities(self) -> Sequence[Entity]:
        """The entities by row, read when they are asked for."""
        return Entities(self)

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
            if run is not None and run != self.model and decides_sides(name) and not file.is_same(run / name):
                raise MelderError(f"{self.directory}: was built with another model than {run} ({name} differs)")

    @property
    def is_current(self) -> bool:
        """Whether no newer generation has taken its place."""
        return (self.directory / CURRENT).read_text(encoding="ascii").startswith(f"{self.version}.json")

    @property
    def version(self) -> str:
        """What is another one after each change: the number of the generation, of shards those of all."""
        return f"{self.generation.number:06d}"

    @property
    def exemplars(self) -> Exemplars:
        """What it has learned from labelled mentions, read each time; MelderError when that is damaged."""
        return read_exemplars(self.directory, self.generation.exemplars)

    def rows(self, identities: Sequence[str]) -> dict[str, int]:
        """The row of each id that is here."""
        rows: dict[str, int] = {}
        found = rows_of_identities(self.parts, identities, self.records_of)
        for reader, first, stored in zip(self.parts, self._first, found, strict=False):
            rows |= {identity: first + reader.position(row) for identity, row in stored.items()}
        return rows

    def typed(self, types: Sequence[str], *, every: bool = False) -> np.ndarray:
        """Ascending rows of the entities that have any of some types, or with `every` all of them."""
        rows = [np.zeros(0, dtype=np.int64)]
        for reader, first in zip(self.parts, self._first, strict=False):
            stored = np.array(self.records_of(reader).typed(types, every=every), dtype=np.int64)
            rows.append(first + np.flatnonzero(np.isin(reader.living, stored)))
        return np.concatenate(rows)

    @property
    def searches(self) -> list[str]:
        """What something is stored for."""
        return [listed.search for listed in self.generation.indexes]

    def indexes(self, search: str) -> list[StoredIndex]:
        """What is stored for a search, each of other entities.

        Raises:
            MelderError: A description is damaged.
        """
        return [
            open_index(self.directory, listed, trusted=self._trusted)
            for listed in self.generation.indexes
            if listed.search == search
        ]

    def stored_searches(self, search: str) -> list[tuple[StoredIndex, np.ndarray]]:
        """The same with the [entities] rows of each; -1 for an entity that is gone since."""
        return [(stored, stored.rows(self.parts)) for stored in self.indexes(search)]

    def blocks(self) -> Iterator[tuple[int, Side]]:
        """All sides in float32, a block of some megabytes at a time: the block's first row, and the sides of it and
        those after it."""
        self._check_open()
        yield from side_blocks(self.parts)

    def side(self, rows: Tensor, units: Collection[str] | None = None) -> Side:
        """The sides of some rows, in float32 and in their order; of these units, by default of all."""
        self._check_open()
        numbers, stored = stored_rows(self.parts, self._first, rows.numpy())
        segments = {number: self.parts[number].segment for number in np.unique(numbers).tolist()}
        arrays = {number: segment.sides for number, segment in segments.items()}
        if len(stored) <= SCATTERED * len(segments) and gatherable(arrays.values()):
            pairs = zip(numbers.tolist(), stored.tolist(), strict=True)
            return gather([(arrays[number], row) for number, row in pairs], units)
        order, sides = list[np.ndarray](), list[Side]()
        for number, segment in segments.items():
            order.append(np.flatnonzero(numbers == number))
            sides.append(segment.side(torch.from_numpy(stored[order[-1]]), units))
        return concatenate(sides).take(torch.from_numpy(np.concatenate(order)).argsort())

    def picture(self, row: int, number: int = 0) -> bytes | None:
        """A stored picture of an entity; None when it has none, or none was kept."""
        reader, stored = self._place(row)
        self.records_of(reader)
        return reader.segment.picture(stored, number)

    def has_picture(self, row: int, number: int = 0) -> bool:
        """Whether a picture of an entity was kept."""
        reader, stored = self._place(row)
        return self.records_of(reader).picture(stored, number) is not None

    def entity_picture(self, entity: Entity, number: int = 0) -> bytes | None:
        """A picture of an entity of this knowledge base, by default its first."""
        return self.picture(self.rows([entity.id])[entity.id], number) if entity.images else None

    def named(self, name: str) -> list[int]:
        """Rows of entities with just this name or alias, as names are compared (melder/names.py); where there are
        none, of those with it but for diacritics."""
        return self._named(name, Records.named) or self._named(name, Records.named_but_for_accents)

    def search(self, query: str, limit: int = 10) -> list[int]:
        """Rows of entities with every word of the query in a name or an alias, the last word perhaps only begun;
        the best (BM25) first."""
        hits = [
            (-score, first + reader.position(row))
            for reader, first in zip(self.parts, self._first, strict=False)
            for row, score in self.records_of(reader).search(query, limit + len(reader.deleted_rows))
            if row not in reader.deleted_rows
        ]
        return [row for _, row in sorted(hits)[:limit]]

    def records(self, rows: Sequence[int]) -> list[Entity]:
        """The entities of some rows, in their order."""
        by_place: dict[int, Entity] = {}
        for number, places in self._by_part(rows).items():
            reader = self.parts[number]
            stored = [reader.stored_row(row - self._first[number]) for _, row in places]
            entities = self.records_of(reader).entities(stored)
            by_place |= {place: entity for (place, _), entity in zip(places, entities, strict=True)}
        return [by_place[place] for place in range(len(rows))]

    def records_of(self, reader: SegmentReader) -> Records:
        """The records of a part, of which only the last `files_at_once()` used stay open."""
        self._check_open()
        with self._lock:
            self._open[reader.listed.name] = reader.segment.records
            self._open.move_to_end(reader.listed.name)
            if len(self._open) > files_at_once():
                self._open.popitem(last=False)[1].close()
        return reader.segment.records

    def unreadable(self, reader: SegmentReader, rows: np.ndarray | None = None) -> dict[str, str]:
        """Why pictures of some entities of a part (None = all that live) could not be read, by the pictures' paths."""
        reasons = reader.segment.description.unreadable
        if not reasons:
            return {}
        return reasons_of(self.records_of(reader).entities((reader.living if rows is None else rows).tolist()), reasons)

    def _check_open(self) -> None:
        """What a closed one would read may have been removed, or be another file of that name."""
        if self.is_closed:
            raise MelderError(f"{self.directory}: this knowledge base was closed; open it again")

    def _named(self, name: str, rows: Callable[[Records, str], list[int]]) -> list[int]:
        return [
            first + reader.position(row)
            for reader, first in zip(self.parts, self._first, strict=False)
            for row in rows(self.records_of(reader), name)
            if row not in reader.deleted_rows
        ]

    def _place(self, row: int) -> tuple[SegmentReader, int]:
        number = bisect_right(self._first, row) - 1
        return self.parts[number], self.parts[number].stored_row(row - self._first[number])

    def _by_part(self, rows: Sequence[int]) -> Mapping[int, list[tuple[int, int]]]:
        """(place, row) of each, by the number of their part."""
        by_part: dict[int, list[tuple[int, int]]] = {}
        for place, row in enumerate(rows):
            by_part.setdefault(bisect_right(self._first, row) - 1, []).append((place, row))
        return by_part


def _release(parts: Sequence[SegmentReader], descriptor: int) -> None:
    """Close what a knowledge base holds open; the manifest, which holds the lock, last."""
    for reader in parts:
        reader.segment.close()
    os.close(descriptor)
