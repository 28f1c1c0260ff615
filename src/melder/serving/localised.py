"""A catalogue whose entities have their names and descriptions in the languages that a service shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from melder.languages import Languages
from melder.records import Entity
from melder.serving.catalogue import Catalogue

__all__ = ["LocalisedCatalogue"]


class LocalisedCatalogue:
    """Another catalogue, each entity of which is shown in the first of some languages in which it has a name; it is
    found by its names in all of them. Fulfils `Catalogue`."""

    def __init__(self, catalogue: Catalogue, languages: Languages) -> None:
        self._catalogue, self._languages = catalogue, languages

    @property
    def types(self) -> Sequence[str]:
        return self._catalogue.types

    def __len__(self) -> int:
        return len(self._catalogue)

    def names(self) -> Iterator[str]:
        return self._catalogue.names()

    def entity(self, identity: str) -> Entity | None:
        entity = self._catalogue.entity(identity)
        return None if entity is None else entity.in_language(self._languages)

    def named(self, name: str) -> Sequence[Entity]:
        return [entity.in_language(self._languages) for entity in self._catalogue.named(name)]

    def starting(self, prefix: str, limit: int) -> Sequence[Entity]:
        return [entity.in_language(self._languages) for entity in self._catalogue.starting(prefix, limit)]

    def picture(self, entity: Entity) -> Path | bytes | None:
        return self._catalogue.picture(entity)

    def has_picture(self, entity: Entity) -> bool:
        return self._catalogue.has_picture(entity)
