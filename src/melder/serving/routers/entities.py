"""GET, POST, PUT and DELETE /entities"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any, cast
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Request
from fastapi import Path as PathParameter
from pydantic import AfterValidator
from starlette.responses import Response

from melder.data.thumbnails import thumbnail
from melder.records import Entity, MelderError
from melder.serving.changes import Changed, EntityChange, EntityChanges
from melder.serving.errors import ApiError, Refused
from melder.serving.limits.body_route import BodyRoute
from melder.serving.limits.lengths import is_longer
from melder.serving.service import Service, Serving
from melder.serving.settings import ServiceSettings
from melder.serving.source import Editable, NewEntity, Served

__all__ = ["CHANGES", "Editing", "EditingRoute", "Identity", "changed", "known", "router"]

SIDE = 320  # pixels of a picture: sharp on a phone, whose screen has two or three for each of a page

log = logging.getLogger(__name__)


class EntityRecord(Entity):
    """An entity as it is sent; `picture`: whether GET /entities/ID/picture has one."""

    picture: bool = False


def check_token(request: Request) -> None:
    """Raises `ApiError` (401, 403) for a client that may not change the knowledge base."""
    token = request.app.state.service.settings.token
    if token is None:
        raise ApiError(403, "changes are off; start the service with --token-file to allow them")
    sent = request.headers.get("authorization", "")
    if not hmac.compare_digest(sent.encode(), f"Bearer {token.get_secret_value()}".encode()):
        raise ApiError(401, "send the service's token: Authorization: Bearer TOKEN", www_authenticate="Bearer")


class EditingRoute(BodyRoute):
    """Reads no body of a client that may not change anything."""

    async def admit(self, request: Request) -> None:
        check_token(request)


router = APIRouter(
    route_class=EditingRoute,
    prefix="/entities",
    tags=["entities"],
    responses={status: {"model": Refused} for status in (404, 422)},
)
CHANGES: dict[int | str, dict[str, Any]] = {
    status: {"model": Refused} for status in (400, 401, 403, 408, 409, 413, 422, 500, 501, 502, 503)
}
Identity = Annotated[
    str, PathParameter(min_length=1, examples=["GN"]), AfterValidator(unquote)
]  # `one_segment` quotes it again


async def _editor(request: Request, service: Serving) -> Editable:
    """The source, if it can be changed and the client may change it."""
    check_token(request)
    source = service.current.source
    if not source.editable:
        raise ApiError(501, "only a knowledge base can be changed here, no data set and no set of shards; serve that")
    return cast(Editable, source)


Editing = Annotated[Editable, Depends(_editor)]


@router.get(
    "/{identity}/picture",
    summary="An entity's picture, made small",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def picture(identity: Identity, service: Serving) -> Response:
    small = await service.pictures.decode(_small, service.current.served, identity)
    return Response(small, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=300"})


@router.get("/{identity}", summary="An entity's record")
def entity(identity: Identity, service: Serving) -> EntityRecord:
    """Without the places of its pictures, which are the service's own affair: `picture` says whether there is one."""
    served = service.current.served
    record = known(served, identity)
    return EntityRecord(**{**dict(record), "images": ()}, picture=served.catalogue.has_picture(record))


@router.post("", summary="Add entities", status_code=201, responses=CHANGES)
async def add(body: EntityChanges, service: Serving, source: Editing) -> Changed:
    """One entity, or `{"entities": […]}`. An id that is there already is refused; PUT takes its place."""
    changes = body.entities
    if len(changes) > service.settings.changed:
        raise ApiError(413, f"there are {len(changes)} entities; send at most {service.settings.changed} together")
    ids = [each.id for each in changes]
    await asyncio.to_thread(_refuse_taken, service, ids)
    new = [await _new(service, each) for each in changes]

    def write() -> None:
        _refuse_taken(service, ids)
        source.add(new)

    return await changed(service, write)


@router.put("/{identity}", summary="Add or replace an entity", responses=CHANGES)
async def put(identity: Identity, change: EntityChange, service: Serving, source: Editing) -> Changed:
    if change.id != identity:
        raise ApiError(422, f"field 'id': is {change.id!r}, but the address says {identity!r}; make them the same")
    new = await _new(service, change)

    def write() -> None:
        is_there = service.current.served.catalogue.entity(identity) is not None
        (source.replace if is_there else source.add)([new])

    return await changed(service, write)


@router.delete("/{identity}", summary="Remove an entity", responses=CHANGES)
async def delete(identity: Identity, service: Serving, source: Editing) -> Changed:
    def write() -> None:
        known(service.current.served, identity)
        source.remove([identity])

    return await changed(service, write)


def _small(served: Served, identity: str) -> bytes:
    shown = served.catalogue.picture(known(served, identity))
    small = None if shown is None else thumbnail(shown, SIDE)
    if small is None:
        raise ApiError(404, f"{identity!r} has no picture")
    return small.content


def _refuse_taken(service: Service, identities: Sequence[str]) -> None:
    """Raises `ApiError` (409) for an id that is there already, or comes twice."""
    catalogue, counts = service.current.served.catalogue, Counter(identities)
    for identity in identities:
        if counts[identity] > 1 or catalogue.entity(identity) is not None:
            raise ApiError(409, f"there is an entity {identity!r} already; replace it with PUT /entities/ID")


def known(served: Served, identity: str) -> Entity:
    """The entity of an id. Raises `ApiError` (404) where there is none."""
    found = served.catalogue.entity(identity)
    if found is None:
        raise ApiError(404, f"there is no entity {identity!r}")
    return found


async def _new(service: Service, change: EntityChange) -> NewEntity:
    _check_lengths(change, service.settings)
    if len(change.images) > service.settings.entity_pictures:
        raise ApiError(413, f"{change.id!r} has more than {service.settings.entity_pictures} pictures; send fewer")
    taken = await service.pictures.take_all(change.images)
    return NewEntity(Entity(**change.model_dump(exclude={"images"})), taken)


def _check_lengths(change: EntityChange, settings: ServiceSettings) -> None:
    """Raises `ApiError` (413) for texts that cost more than any that people write, and ids that no address holds."""
    names = {"id": [change.id], "name": [change.name], "aliases": change.aliases, "types": change.types}
    names["labels"] = list(change.labels.values())
    for field, texts in names.items():
        if any(is_longer(text, settings.surface) for text in texts):
            raise ApiError(413, f"field '{field}': has more than {settings.surface:,} characters; shorten it")
    if any(len(text) > settings.characters for text in (change.description, *change.descriptions.values())):
        raise ApiError(413, f"field 'description': has more than {settings.characters:,} characters; shorten it")


async def changed(service: Service, change: Callable[[], None]) -> Changed:
    """Make a change and serve its generation before the answer says so.

    One change is made at a time: what `change` itself looks up is what it changes.
    """
    async with service.changing:
        try:
            await asyncio.to_thread(change)
        except MelderError:
            log.exception("a change failed")
            raise ApiError(409, "the knowledge base cannot be changed now; the log of the service says why") from None
        await service.current.refresh()
    served = service.current.served
    return Changed(generation=served.generation, entities=len(served.catalogue))
