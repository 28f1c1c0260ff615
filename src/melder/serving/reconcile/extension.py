"""Data extension: values of properties of entities that are reconciled already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

from melder.serving.errors import ApiError, parsed
from melder.serving.limits.json_bounds import check_json
from melder.serving.reconcile.properties import OF_ENTITIES, Property
from melder.serving.reconcile.queries import as_text
from melder.serving.settings import ServiceSettings
from melder.serving.source import Served

__all__ = ["extended"]


class PropertyRequest(BaseModel):
    """A property that is asked for; clients may send settings that this service does not have."""

    model_config = ConfigDict(frozen=True)

    class PropertySettings(BaseModel):
        limit: float = Field(0, ge=0, allow_inf_nan=False)

    id: str
    settings: PropertySettings = PropertySettings()


class Extension(BaseModel):
    """Which entities, and which of their properties."""

    ids: Annotated[tuple[Annotated[str, BeforeValidator(as_text)], ...], FailFast()]
    properties: Annotated[tuple[PropertyRequest, ...], FailFast()] = Field(max_length=100)


def extended(content: str, served: Served, settings: ServiceSettings) -> dict[str, Any]:
    """The answer to an extension query. An id that is not here has a row without values.

    Raises:
        ApiError: (400) for a property that there is not, (413) for too many entities.
    """
    check_json(content.encode(errors="surrogatepass"), settings)
    asked = parsed(Extension, content, 400)
    if len(asked.ids) > settings.extended:
        raise ApiError(413, f"there are {len(asked.ids)} ids; send at most {settings.extended} together")
    wishes = {each.id: (_property(each.id), int(each.settings.limit)) for each in asked.properties}
    return {
        "meta": [{"id": each.id, "name": each.name} for each, _ in wishes.values()],
        "rows": {identity: _row(identity, wishes, served) for identity in asked.ids},
    }


def _row(identity: str, wishes: Mapping[str, tuple[Property, int]], served: Served) -> dict[str, list[dict[str, str]]]:
    entity = served.catalogue.entity(identity)
    if entity is None:
        return {name: [] for name in wishes}
    return {
        name: [{"str": value} for value in prop.values(entity)[: limit or None]]
        for name, (prop, limit) in wishes.items()
    }


def _property(name: str) -> Property:
    if name not in OF_ENTITIES:
        raise ApiError(400, f"there is no property {name!r} of entities; ask for one of {', '.join(OF_ENTITIES)}")
    return OF_ENTITIES[name]
