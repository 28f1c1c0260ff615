"""Where the sides of the entities come from: a data set that is encoded now, or a knowledge base on disk."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from melder.data import DataSet, entity_items
from melder.features import Side
from melder.kb.exemplars import Exemplars
from melder.protocols import Progress
from melder.records import Entity
from melder.runs.model import Model

__all__ = ["EncodedEntities", "EntityStore", "HeldSides", "SideStore", "StoredSearch", "SubsetSides"]

BLOCK = 1024  # entities whose sides are read together, when they are some of many


class StoredSearch(Protocol):
    """Files that a search was prepared with."""

    path: Path
    trusted: bool  # False: files in a library's own format are opened in another process first

    def check(self) -> None:
        """Raises MelderError when they are damaged."""
        ...


class SideStore(Protocol):
    """The sides of entities, by row; `has_records`: it is an `EntityStore`."""

    @property
    def has_records(self) -> bool: ...

    def __len__(self) -> int: ...

    def blocks(self) -> Iterator[tuple[int, Side]]:
        """All sides, a block at a time: the block's first row, and the sides of it and those after it."""
        ...

    def side(self, rows: Tensor, units: Collection[str] | None = None) -> Side:
        """The sides of some rows, in their order; of these units, by default of all."""
        ...


class EntityStore(SideStore, Protocol):
    """Entities by row, and their sides. `melder.kb.KnowledgeBase` is one."""

    @property
    def exemplars(self) -> Exemplars:
        """What it keeps that was learned from labelled mentions."""
        ...

    def rows(self, identities: Sequence[str]) -> dict[str, int]:
        """The row of each id that is here."""
        ...

    def stored_searches(self, search: str) -> Sequence[tuple[StoredSearch, np.ndarray]]:
        """What is kept prepared for a search, each of other entities, with its [entities] rows (-1: gone since)."""
        ...

    def records(self, rows: Sequence[int]) -> list[Entity]:
        """The entities of some rows, in their order."""
        ...

    def typed(self, types: Sequence[str], *, every: bool = False) -> np.ndarray:
        """Ascending rows of the entities that have any of some types, or with `every` all of them."""
        ...


class SubsetSides:
    """Some rows of a source, by place; fulfils `SideStore`.

    Args:
        source: Of all entities.
        rows: [n] int64, which of them there are here, in this order.
    """

    has_records = False

    def __init__(self, source: SideStore, rows: Tensor) -> None:
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        return len(self._rows)

    def blocks(self) -> Iterator[tuple[int, Side]]:
        for first in range(0, len(self), BLOCK):
            yield first, self._source.side(self._rows[first : first + BLOCK])

    def side(self, rows: Tensor, units: Collection[str] | None = None) -> Side:
        return self._source.side(self._rows[rows], units)


class HeldSides:
    """Sides in memory; fulfils `SideStore`.

    Args:
        side: Of all entities.
    """

    has_records = False

    def __init__(self, side: Side) -> None:
        self._side = side

    def __len__(self) -> int:
        return self._side.rows

    def blocks(self) -> Iterator[tuple[int, Side]]:
        yield 0, self._side

    def side(self, rows: Tensor, units: Collection[str] | None = None) -> Side:
        side = self._side if units is None else self._side.only(units)
        return side.take(rows.to(self._side.device))


class EncodedEntities(HeldSides):
    """The entities of a data set, encoded when this is made; fulfils `EntityStore`.

    Args:
        model: Encodes them.
        dataset: Whose entities they are.
        modalities: What is read of them: text, image.
        progress: Is told of entities.
    """

    has_records = True
    exemplars = Exemplars()  # a data set keeps none

    def __init__(
        self, model: Model, dataset: DataSet, modalities: frozenset[str], progress: Progress | None = None
    ) -> None:
        self._entities = dataset.entities
        self._row = {entity.id: row for row, entity in enumerate(self._entities)}
        pictures = model.matcher.pictures
        items = entity_items(self._entities, dataset, model.encoder.separator, modalities, pictures=pictures)
        super().__init__(model.entity_side(items, progress))

    def rows(self, identities: Sequence[str]) -> dict[str, int]:
        return {identity: self._row[identity] for identity in identities if identity in self._row}

    def stored_searches(self, search: str) -> Sequence[tuple[StoredSearch, np.ndarray]]:
        return ()

    def records(self, rows: Sequence[int]) -> list[Entity]:
        return [self._entities[row] for row in rows]

    def typed(self, types: Sequence[str], *, every: bool = False) -> np.ndarray:
        fits = set(types).issubset if every else lambda own: not set(types).isdisjoint(own)
        rows = [row for row, entity in enumerate(self._entities) if fits(entity.types)]
        return np.array(rows, dtype=np.int64)
