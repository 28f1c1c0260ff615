"""/reconcile: the manifest, and queries by GET and by POST (W3C Reconciliation Service API 0.2)"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from melder.records import Entity, Link
from melder.search.filters import Types
from melder.serving.batching import LinkTask, new_answer
from melder.serving.errors import BUSY, ApiError, Refused
from melder.serving.identifiers import find_identified
from melder.serving.limits.body_route import BodyRoute, in_thread_if_large
from melder.serving.limits.lengths import is_longer
from melder.serving.reconcile.extension import extended
from melder.serving.reconcile.manifest import identifier_space, manifest_of
from melder.serving.reconcile.queries import ReconciliationQuery, mention_of, pictures_of, read_queries
from melder.serving.reconcile.results import identified_result, is_certain, lacks_type, results
from melder.serving.routers.link import check_work
from melder.serving.service import Service, Serving, before_deadline
from melder.serving.source import Served

__all__ = ["router"]

log = logging.getLogger(__name__)
router = APIRouter(
    route_class=BodyRoute,
    prefix="/reconcile",
    tags=["reconciliation"],
    responses={status: {"model": Refused} for status in (400, 408, 413, 422, 500, 503, 504)},
)


Json = Annotated[str | None, Field(json_schema_extra={"contentMediaType": "application/json"})]
QUERIES = '{"q0": {"query": "Guinea", "properties": [{"pid": "context", "v": "Guinea won the toss"}]}}'
EXTEND = '{"ids": ["GN"], "properties": [{"id": "description"}]}'


class ReconcileFields(BaseModel):
    """What a reconciliation client asks: queries, or values of properties, as JSON in a field; or, by GET, neither."""

    queries: Json = Field(None, description="a batch of queries by keys of your own", examples=[QUERIES])
    extend: Json = Field(None, description="which properties of which entities", examples=[EXTEND])
    callback: str | None = Field(None, description="JSONP, which is refused", json_schema_extra={"not": {}})


class ReconcileForm(ReconcileFields):
    """By POST one of them must be there."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["queries"]}, {"required": ["extend"]}]})


@router.get("", summary="The manifest; with ?queries= or ?extend=, their answer")
@router.get("/", include_in_schema=False)
async def get(asked: Annotated[ReconcileFields, Query()], request: Request, service: Serving) -> dict[str, Any]:
    answer = await _answer(request, service, asked)
    if answer is not None:
        return answer
    _note_address(service, _base(request, service))
    return await asyncio.to_thread(manifest_of, _base(request, service), service.current.served, service.settings)


@router.post("", summary="Queries, or an extension, as a field of a form")
@router.post("/", include_in_schema=False)
async def post(asked: Annotated[ReconcileForm, Form()], request: Request, service: Serving) -> dict[str, Any]:
    """`queries={"q0": {"query": "Guinea", "properties": [{"pid": "context", "v": "Guinea won the toss"}]}}`"""
    answer = await _answer(request, service, asked)
    if answer is None:
        raise ApiError(400, "send a form with the field queries, or with the field extend")
    return answer


async def _answer(request: Request, service: Service, asked: ReconcileFields) -> dict[str, Any] | None:
    """The answer to `queries` or `extend`; None when neither is there."""
    if asked.callback is not None or "callback" in request.query_params:
        raise ApiError(400, "JSONP is not offered, since it runs code; leave out callback, every answer allows CORS")
    if asked.queries is None and "query" in request.query_params:
        raise ApiError(400, 'single queries are of version 0.1; send queries={"q0": {"query": "…"}}')
    served, settings = service.current.served, service.settings
    if asked.queries is not None:
        async with before_deadline(request, settings):
            content = asked.queries
            queries = await in_thread_if_large(content, partial(read_queries, content, settings))
            return await _reconciled(service, served, queries, _spaces(request, service))
    if asked.extend is not None:
        return await asyncio.to_thread(extended, asked.extend, served, settings)
    return None


async def _reconciled(
    service: Service, served: Served, queries: Mapping[str, ReconciliationQuery | str], spaces: Sequence[str]
) -> dict[str, Any]:
    """A result a query. One that is wrong has no candidates and says why in `error`."""
    answers: dict[str, Any] = {key: _wrong(query) for key, query in queries.items() if isinstance(query, str)}
    good = {key: query for key, query in queries.items() if not isinstance(query, str)}
    tasks: dict[str, LinkTask] = {}
    for key, query in good.items():
        try:
            tasks[key] = await _task(service, served, query)
        except ApiError as refusal:
            if refusal.status_code == BUSY:
                raise
            answers[key] = _wrong(refusal.detail)
    check_work(service, list(tasks.values()))
    identified = await asyncio.to_thread(_identified, {key: good[key] for key in tasks}, served, spaces)
    certain = await asyncio.to_thread(_certain, identified, good, served)
    answers |= {key: {"result": [identified_result(good[key], entity)]} for key, entity in certain.items()}
    rest = [key for key in tasks if key not in certain]
    links = await service.link([tasks[key] for key in rest])
    links = await _with_typed(service, served, [(good[key], tasks[key]) for key in rest], links)
    asked = [(good[key], link, identified.get(key)) for key, link in zip(rest, links, strict=True)]
    found = await asyncio.to_thread(_results, asked, served, service.settings.candidates)
    answers |= {key: {"result": result} for key, result in zip(rest, found, strict=True)}
    return {key: answers[key] for key in queries}


async def _with_typed(
    service: Service, served: Served, asked: Sequence[tuple[ReconciliationQuery, LinkTask]], links: Sequence[Link]
) -> list[Link]:
    """The links; where candidates should be of a type and none is, the best of that type stand behind the others."""
    lacking = await asyncio.to_thread(_lacking, [query for query, _ in asked], links, served)
    again = [replace(asked[n][1], types=Types(asked[n][0].types), answer=new_answer()) for n in lacking]
    merged = list(links)
    for number, typed in zip(lacking, await service.link(again), strict=True):
        candidates = (*links[number].candidates, *typed.candidates)
        merged[number] = links[number].model_copy(update={"candidates": candidates})
    return merged


def _lacking(queries: Sequence[ReconciliationQuery], links: Sequence[Link], served: Served) -> list[int]:
    pairs = enumerate(zip(queries, links, strict=True))
    return [number for number, (query, link) in pairs if lacks_type(query, link, served.catalogue)]


def _note_address(service: Service, base: str) -> None:
    """Say once that clients will keep an address that nobody has promised to stay."""
    if service.settings.public_url is None and not service.is_address_noted:
        service.is_address_noted = True
        log.warning("clients keep %s in their projects; give the same --port again, or --public-url", base)


def _wrong(sentence: str) -> dict[str, Any]:
    return {"result": [], "error": sentence}


def _identified(queries: Mapping[str, ReconciliationQuery], served: Served, spaces: Sequence[str]) -> dict[str, Entity]:
    """The entities whose ids queries are."""
    found = {key: find_identified(query.surface, served.catalogue, spaces) for key, query in queries.items()}
    return {key: entity for key, entity in found.items() if entity is not None and queries[key].admits(entity)}


def _certain(
    identified: Mapping[str, Entity], queries: Mapping[str, ReconciliationQuery], served: Served
) -> dict[str, Entity]:
    """Those of the entities that nothing else can be meant by."""
    return {key: entity for key, entity in identified.items() if is_certain(queries[key], entity, served.catalogue)}


def _results(
    asked: Sequence[tuple[ReconciliationQuery, Link, Entity | None]], served: Served, most: int
) -> list[list[dict[str, Any]]]:
    return [results(query, link, served.catalogue, most, identified) for query, link, identified in asked]


async def _task(service: Service, served: Served, query: ReconciliationQuery) -> LinkTask:
    mention, settings = mention_of(query), service.settings
    if query.fault is not None:
        raise ApiError(422, query.fault)
    if len(mention.text) > settings.characters:
        raise ApiError(413, f"the query has more than {settings.characters:,} characters; send a part of it")
    if is_longer(mention.surface, settings.surface):
        raise ApiError(413, f"the name has more than {settings.surface:,} characters; send the name only")
    images = await service.images(pictures_of(query)[: served.linker.pictures_read], served)
    return LinkTask(served, mention, images, query.wanted(settings.candidates), query.wanted_types)


def _base(request: Request, service: Service) -> str:
    return (service.settings.public_url or str(request.base_url)).rstrip("/")


def _spaces(request: Request, service: Service) -> Sequence[str]:
    """What may stand before an entity's id: the identifier space, this service's addresses, NIF's."""
    settings = service.settings
    return (
        identifier_space(service.current.served, settings),
        f"{_base(request, service)}/entities/",
        settings.entity_uri,
    )
