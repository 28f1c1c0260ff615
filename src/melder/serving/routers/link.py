"""POST /link and POST /link/batch"""

from __future__ import annotations

import asyncio
import reprlib
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from fastapi import APIRouter, Request
from starlette.responses import Response

from melder.records import Link, Mention
from melder.search.filters import Types, nearest_types
from melder.serving.accepted import MEDIA_TYPES, accepted_format, written_links
from melder.serving.batching import LinkTask
from melder.serving.entity_summary import EntitySummary, WithEntities, entity_summaries
from melder.serving.errors import BUSY, ApiError, Refused
from melder.serving.limits.body_route import BodyRoute
from melder.serving.limits.lengths import is_longer
from melder.serving.requests import OR_FORM, BatchAnswer, BatchRequest, LinkAnswer, LinkRequest, Links, Span
from melder.serving.service import Service, Serving, before_deadline
from melder.serving.settings import ServiceSettings
from melder.serving.source import Served

__all__ = ["check_searched", "check_work", "mention_at", "router", "tasks_of"]

router = APIRouter(
    route_class=BodyRoute,
    tags=["link"],
    responses={status: {"model": Refused} for status in (400, 403, 408, 413, 422, 500, 502, 503, 504)},
)


@router.post(
    "/link",
    summary="Link the mentions of a text",
    openapi_extra=OR_FORM,
    response_model=LinkAnswer,
    responses={
        200: {"content": {name: {"schema": {"type": "string"}} for name in MEDIA_TYPES}},
        **{status: {"model": Refused} for status in (406, 501)},
    },
)
async def link(
    asked: LinkRequest, request: Request, service: Serving, entities: WithEntities = False
) -> LinkAnswer | Response:
    """Ranked candidates for each mention, with what each unit adds to the score; by Accept also as NIF (text/turtle),
    Web Annotations, TEI, CSV, TSV or JSON Lines."""
    form = accepted_format(request.headers.get("accept"))
    served = service.current.served
    async with before_deadline(request, service.settings):
        tasks = await tasks_of(service, served, asked)
        check_work(service, tasks)
        links = await service.link(tasks)
        await service.note([task.mention for task in tasks])
        if form is not None:
            return await asyncio.to_thread(written_links, form, tasks, links, service.settings)
    described = await _described(served, links) if entities else None
    return LinkAnswer(generation=served.generation, model=served.model, links=tuple(links), entities=described)


@router.post("/link/batch", summary="Link the mentions of many texts")
async def link_batch(
    batch: BatchRequest, request: Request, service: Serving, entities: WithEntities = False
) -> BatchAnswer:
    """Results in the order of the requests; one that is wrong has an `error` and does not spoil the others."""
    _check_size(service, batch)
    served = service.current.served
    async with before_deadline(request, service.settings):
        prepared = [await _prepared(service, served, asked) for asked in batch.requests]
        tasks = [task for of_text in prepared if not isinstance(of_text, str) for task in of_text]
        check_work(service, tasks)
        links = await service.link(tasks)
        await service.note([task.mention for task in tasks])
    remaining = iter(links)
    results = tuple(
        Links(error=of_text) if isinstance(of_text, str) else Links(links=tuple(islice(remaining, len(of_text))))
        for of_text in prepared
    )
    described = await _described(served, links) if entities else None
    return BatchAnswer(generation=served.generation, model=served.model, results=results, entities=described)


async def _described(served: Served, links: Sequence[Link]) -> dict[str, EntitySummary]:
    return await asyncio.to_thread(entity_summaries, served, links)


def _check_size(service: Service, batch: BatchRequest) -> None:
    if len(batch.requests) > service.settings.texts:
        raise ApiError(413, f"there are {len(batch.requests)} texts; send at most {service.settings.texts} together")
    good = [asked for asked in batch.requests if not isinstance(asked, str)]
    _check_number(service, sum(len(asked.mentions) for asked in good))
    check_searched(service, good)


def check_searched(service: Service, texts: Sequence[LinkRequest]) -> None:
    """Raises `ApiError` (413) when mentions would have to be looked for in too much text."""
    characters, most = sum(len(asked.text) for asked in texts if not asked.mentions), service.settings.searched
    if characters > most:
        raise ApiError(413, f"mentions are looked for in {most:,} characters at most; mark them, or send fewer texts")


def check_work(service: Service, tasks: Sequence[LinkTask]) -> None:
    """Raises `ApiError` (413) when there are too many mentions for one request, or too much work in them."""
    _check_number(service, len(tasks))
    work, most = sum(task.k * len(task.mention.text) for task in tasks), service.settings.work
    if work > most:
        sentence = f"mentions × candidates × characters of their texts is {work:,}, more than {most:,}"
        raise ApiError(413, f"{sentence}; send fewer or shorter texts, or lower k")


def _check_number(service: Service, mentions: int) -> None:
    if mentions > service.settings.mentions:
        raise ApiError(413, f"there are {mentions} mentions; send at most {service.settings.mentions} together")


async def _prepared(service: Service, served: Served, asked: LinkRequest | str) -> list[LinkTask] | str:
    """The tasks of one text of a batch, or why there are none."""
    if isinstance(asked, str):
        return asked
    try:
        return await tasks_of(service, served, asked)
    except ApiError as refusal:
        if refusal.status_code == BUSY:
            raise
        return str(refusal.detail)


async def tasks_of(service: Service, served: Served, asked: LinkRequest) -> list[LinkTask]:
    """A task for each mention of a text. Raises `ApiError` (413, 422) when something in it is wrong."""
    settings = service.settings
    if len(asked.text) > settings.characters:
        raise ApiError(413, f"field 'text': has more than {settings.characters:,} characters; send a part of it")
    if asked.k > settings.candidates:
        raise ApiError(422, f"field 'k': is above {settings.candidates}; ask for fewer candidates")
    spans = asked.mentions or [Span(start=start, end=end) for start, end in await service.find(asked.text, served)]
    _check_number(service, len(spans))
    mentions = [mention_at(span, asked, "mentions", number, settings) for number, span in enumerate(spans)]
    images = await service.images(asked.images, served)
    types = await asyncio.to_thread(_known_types, served, asked.types) if asked.types else None
    return [LinkTask(served, mention, images, asked.k, types) for mention in mentions]


def _known_types(served: Served, types: Sequence[str]) -> Types:
    """Raises `ApiError` (422) for a type that no entity has."""
    known = served.catalogue.types
    for each in types:
        if each not in known:
            raise ApiError(
                422, f"field 'types': no entity has the type {reprlib.repr(each)}{nearest_types(each, known)}"
            )
    return Types(tuple(types))


class TextRequest(Protocol):
    """A request with a text, perhaps in a language that it names."""

    @property
    def text(self) -> str: ...

    @property
    def language(self) -> str | None: ...


def mention_at(span: Span, asked: TextRequest, field: str, number: int, settings: ServiceSettings) -> Mention:
    """The mention at a span of a text; `field` and its number say where it stands in the request.

    Raises:
        ApiError: (413, 422) where it is too long, or covers no words.
    """
    text = asked.text
    surface = text[span.start : span.end]
    if span.end > len(text) or not surface.strip():
        where = f"[{span.start}, {span.end}) covers no words of the text of {len(text)} characters"
        raise ApiError(422, f"field '{field}.{number}': {where}; give code point offsets, end excluded")
    if is_longer(surface, settings.surface):
        most = f"has more than {settings.surface:,} characters"
        raise ApiError(413, f"field '{field}.{number}': {most}; mark the name only")
    place = {"start": span.start, "end": span.end}
    return Mention(id=str(number), text=text, surface=surface, language=asked.language, **place)
