"""Entities of some types only, as those who ask name them and as searches see them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from melder.names import nearest
from melder.search.entity_store import EntityStore

__all__ = ["AskedTypes", "EntityFilter", "Types", "nearest_types", "types_of_each"]


@dataclass(frozen=True)
class Types:
    """Entities that have any of the types `names` or, with `every`, all of them."""

    names: tuple[str, ...]
    every: bool = False

    def admit(self, types: Collection[str]) -> bool:
        """Whether an entity of these types is one of them."""
        return (all if self.every else any)(name in types for name in self.names)


AskedTypes = Types | Sequence[Types | None] | None  # of all mentions, or of each of them; None = of any type


def nearest_types(name: str, types: Iterable[str]) -> str:
    """A clause about the types that look most like one that there is not; what to do where none does."""
    near = nearest(name, types)
    return f"; did you mean {', '.join(map(repr, near))}?" if near else "; write it as the entities' records do"


def types_of_each(types: AskedTypes, mentions: int) -> Sequence[Types | None]:
    """The types for each of some mentions."""
    return [types] * mentions if types is None or isinstance(types, Types) else types


class EntityFilter:
    """The entities of a source that types admit; they are looked up when they are first needed."""

    def __init__(self, types: Types, source: EntityStore) -> None:
        self.types, self._source = types, source

    @cached_property
    def rows(self) -> np.ndarray:
        """Ascending, int64."""
        return self._source.typed(self.types.names, every=self.types.every)
