"""What people are shown of a candidate besides its name: sent with the links, so that a page asks once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict

from melder.records import Entity, Link
from melder.serving.catalogue import Catalogue
from melder.serving.source import Served

__all__ = ["EntitySummary", "WithEntities", "entity_summaries"]

WithEntities = Annotated[bool, Query(description="whether the answer, in JSON, describes all candidates in `entities`")]


class EntitySummary(BaseModel):
    """An entity as it is shown; `picture`: whether GET /entities/ID/picture has one."""

    model_config = ConfigDict(frozen=True)

    description: str = ""
    aliases: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    picture: bool = False


def entity_summaries(served: Served, links: Iterable[Link]) -> dict[str, EntitySummary]:
    """The candidates of all links, each once, by id."""
    identities = dict.fromkeys(candidate.id for link in links for candidate in link.candidates)
    entities = ((identity, served.catalogue.entity(identity)) for identity in identities)
    return {identity: _summary(served.catalogue, entity) for identity, entity in entities if entity is not None}


def _summary(catalogue: Catalogue, entity: Entity) -> EntitySummary:
    has_picture = catalogue.has_picture(entity)
    return EntitySummary(
        description=entity.description, aliases=entity.aliases, types=entity.types, picture=has_picture
    )
