"""A set of shards that services hold, as what is served: the page, links and lookups of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import melder
from melder.kb.manifest import SHARDS
from melder.languages import AS_WRITTEN, Languages
from melder.linking.remote import RemoteLinker, descriptions
from melder.linking.remote_records import picture_of, record_of, starting
from melder.linking.shard_service import ShardService
from melder.names import folded
from melder.protocols import Counting
from melder.records import Entity, MelderError
from melder.serving.source import Served

__all__ = ["RemoteCatalogue", "RemoteSource"]

NAMED = 20  # entities that are looked at for one with just a name


class RemoteCatalogue:
    """The entities of services, which are asked; of shards that are away there is nothing."""

    def __init__(self, shards: Sequence[ShardService]) -> None:
        self._shards = shards

    @property
    def types(self) -> Sequence[str]:
        return list(dict.fromkeys(kind for shard in descriptions(self._shards) for kind in shard.types))

    def __len__(self) -> int:
        return sum(shard.entities for shard in descriptions(self._shards))

    def names(self) -> Iterator[str]:
        """None: they are not fetched, so that mentions are to be marked."""
        return iter(())

    def entity(self, identity: str) -> Entity | None:
        return record_of(self._shards, identity)

    def named(self, name: str) -> Sequence[Entity]:
        near = starting(self._shards, name, NAMED)
        records = [record_of(self._shards, entity.id) for entity in near]
        return [record for record in records if record and folded(name) in map(folded, record.names)]

    def starting(self, prefix: str, limit: int) -> Sequence[Entity]:
        return starting(self._shards, prefix, limit)

    def picture(self, entity: Entity) -> bytes | None:
        return picture_of(self._shards, entity.id)

    def has_picture(self, entity: Entity) -> bool:
        return bool(entity.images)  # as its shard said with the record


class RemoteSource:
    """A set whose shards.json names services; each looks itself for new generations of what it holds."""

    editable = False

    def __init__(
        self,
        directory: Path,
        changes: Sequence[str] = (),
        candidates: str | None = None,
        languages: Languages = AS_WRITTEN,
    ) -> None:
        self.directory, self.changes, self.candidates, self.languages = directory, changes, candidates, languages

    def generation(self) -> str:
        return str((self.directory / SHARDS).stat().st_mtime_ns)

    def open(self, counting: Counting | None = None) -> Served:
        if self.languages != AS_WRITTEN:
            raise MelderError(f"{self.directory}: its services name entities; give --language to those")
        generation = self.generation()
        linker = cast(RemoteLinker, melder.load(self.directory, changes=self.changes, candidates=self.candidates))
        model = descriptions(linker.shards)[0].model
        name = self.directory.resolve().name
        return Served(linker, RemoteCatalogue(linker.shards), generation, model, name, close=linker.close)
