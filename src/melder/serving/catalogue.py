"""Entities by id and by name: what a service shows of a knowledge base besides linking to it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

from melder.data import DataSet
from melder.names import folded, unaccented
from melder.records import Entity

__all__ = ["Catalogue", "DataSetCatalogue"]

NAMES = 20  # of one entity that may stand side by side in the sorted list


class Catalogue(Protocol):
    """Looks entities up; every verb may be called from any thread."""

    @property
    def types(self) -> Sequence[str]:
        """Those of all entities, the most frequent first."""
        ...

    def __len__(self) -> int: ...

    def names(self) -> Iterator[str]:
        """The names and aliases of all entities."""
        ...

    def entity(self, identity: str) -> Entity | None: ...

    def named(self, name: str) -> Sequence[Entity]:
        """Entities that have just this name or alias, as names are compared; where there are none, but for
        diacritics."""
        ...

    def starting(self, prefix: str, limit: int) -> Sequence[Entity]:
        """At most `limit` entities that have a name in which a word starts as `prefix` says."""
        ...

    def picture(self, entity: Entity) -> Path | bytes | None:
        """The first picture of an entity: a file, or the bytes of one."""
        ...

    def has_picture(self, entity: Entity) -> bool:
        """Whether there is one, which is known without reading it."""
        ...


class DataSetCatalogue:
    """The entities of a data set, in memory: a sorted list of names, and of their rests from the second word on."""

    def __init__(self, dataset: DataSet) -> None:
        self._dataset = dataset
        self._entities = dataset.entities
        self._row = {entity.id: row for row, entity in enumerate(self._entities)}
        self._keys = sorted(self._all_keys())
        self._unaccented = dict[str, dict[int, None]]()  # the rows of each name without its diacritics
        for row, entity in enumerate(self._entities):
            for name in entity.names:
                self._unaccented.setdefault(unaccented(name), {})[row] = None
        self.types = tuple(
            kind for kind, _ in Counter(kind for each in self._entities for kind in each.types).most_common()
        )

    def __len__(self) -> int:
        return len(self._entities)

    def names(self) -> Iterator[str]:
        return (name for entity in self._entities for name in entity.names)

    def entity(self, identity: str) -> Entity | None:
        row = self._row.get(identity)
        return None if row is None else self._entities[row]

    def named(self, name: str) -> Sequence[Entity]:
        rows = self._rows_named(folded(name)) or self._unaccented.get(unaccented(name), {})
        return [self._entities[row] for row in rows]

    def starting(self, prefix: str, limit: int) -> Sequence[Entity]:
        """Names that start with the prefix come first, in alphabetical order."""
        start = folded(prefix)
        first = (row for _, words, row in self._from(start) if not words)
        later = (row for _, words, row in self._from(start) if words)
        rows = dict.fromkeys(islice(first, limit * NAMES))
        rows |= dict.fromkeys(islice(later, limit * NAMES))
        return [self._entities[row] for row in islice(rows, limit)]

    def picture(self, entity: Entity) -> Path | None:
        return self._dataset.entity_image(entity.images[0]) if entity.images else None

    def has_picture(self, entity: Entity) -> bool:
        path = self.picture(entity)
        return path is not None and path.is_file()

    def _rows_named(self, whole: str) -> dict[int, None]:
        return dict.fromkeys(row for key, words, row in self._from(whole) if key == whole and not words)

    def _all_keys(self) -> Iterator[tuple[str, int, int]]:
        """(the rest of a name, the words before it, the entity's row)"""
        for row, entity in enumerate(self._entities):
            for name in entity.names:
                words = folded(name).split()
                yield from ((" ".join(words[before:]), before, row) for before in range(len(words)))

    def _from(self, start: str) -> Iterator[tuple[str, int, int]]:
        """The keys that start so."""
        place = bisect_left(self._keys, (start, -1, -1))
        while place < len(self._keys) and self._keys[place][0].startswith(start):
            yield self._keys[place]
            place += 1
