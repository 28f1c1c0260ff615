"""POST /link and POST /link/batch"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any

from fastapi import APIRouter, Request

from melder.records import Mention
from melder.search.filters import Types
from melder.serving.errors import BUSY, ApiError, Refused, parsed
from melder.serving.forms import read_form
from melder.serving.requests import BatchAnswer, BatchRequest, LinkAnswer, LinkRequest, Links, Span
from melder.serving.service import Question, Service, Serving, before_deadline
from melder.serving.source import Served

__all__ = ["BODY", "check_number", "questions_of", "read_request", "router"]

router = APIRouter(tags=["link"], responses={status: {"model": Refused} for status in (400, 413, 422, 503, 504)})

MENTIONS = '[{"start": 0, "end": 6}]'
TYPES = '["country"]'
INSIDE = {"mentions": MENTIONS, "types": TYPES, "k": "a number"}  # fields of a form that are JSON
FORM = {
    "type": "object",
    "required": ["text"],
    "properties": {
        "text": {"type": "string"},
        "mentions": {"type": "string", "description": f"JSON, such as {MENTIONS}; left out: find them"},
        "image": {"type": "string", "format": "binary"},
        "k": {"type": "integer", "minimum": 1, "default": 10},
        "types": {"type": "string", "description": f"JSON, such as {TYPES}; left out: of every type"},
    },
}
BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/LinkRequest"}},
        "multipart/form-data": {"schema": FORM},
    },
}
BATCH = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/BatchRequest"}}}}


@router.post("/link", summary="Link the mentions of a text", openapi_extra={"requestBody": BODY})
async def link(request: Request, service: Serving) -> LinkAnswer:
    """Ranked candidates for each mention, with what each unit adds to the score."""
    asked, upload = await read_request(request, service)
    served = service.current.served
    async with before_deadline(request, service.settings):
        questions = await questions_of(service, served, asked, upload)
        links = await service.link(questions, served)
    return LinkAnswer(generation=served.generation, model=served.model, links=tuple(links))


@router.post("/link/batch", summary="Link the mentions of many texts", openapi_extra={"requestBody": BATCH})
async def link_batch(request: Request, service: Serving) -> BatchAnswer:
    """Results in the order of the requests; one that is wrong has an `error` and does not spoil the others."""
    batch = parsed(BatchRequest, await request.body())
    _check_size(service, batch)
    served = service.current.served
    async with before_deadline(request, service.settings):
        prepared = [await _prepared(service, served, each) for each in batch.requests]
        questions = [question for each in prepared if not isinstance(each, str) for question in each]
        check_number(service, len(questions))
        links = iter(await service.link(questions, served))
    results = tuple(
        Links(error=each) if isinstance(each, str) else Links(links=tuple(islice(links, len(each))))
        for each in prepared
    )
    return BatchAnswer(generation=served.generation, model=served.model, results=results)


async def read_request(request: Request, service: Service) -> tuple[LinkRequest, bytes | None]:
    """A request in JSON, or in a form: the picture of the latter comes apart, if it is a file."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return parsed(LinkRequest, await request.body()), None
    fields = dict(await read_form(request, service.settings))
    image = fields.pop("image", None)
    if isinstance(image, str):
        fields["image"] = image
    return parsed(LinkRequest, _as_json(fields)), image if isinstance(image, bytes) else None


def _as_json(fields: Mapping[str, str | bytes]) -> str:
    """A form's fields as one JSON object, so that the same rules hold for it; what is JSON inside becomes a part."""
    return json.dumps({name: _value(name, value) for name, value in fields.items()})


def _value(name: str, value: str | bytes) -> Any:
    if isinstance(value, bytes):
        raise ApiError(422, f"field '{name}': is a file; only the picture may be one")
    if name not in INSIDE:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ApiError(422, f"field '{name}': is not JSON; write {INSIDE[name]}") from None


def _check_size(service: Service, batch: BatchRequest) -> None:
    if len(batch.requests) > service.settings.texts:
        raise ApiError(413, f"there are {len(batch.requests)} texts; send at most {service.settings.texts} together")
    check_number(service, sum(len(each.mentions) for each in batch.requests))


def check_number(service: Service, mentions: int) -> None:
    """Raises `ApiError` (413) when there are too many mentions for one request."""
    if mentions > service.settings.mentions:
        raise ApiError(413, f"there are {mentions} mentions; send at most {service.settings.mentions} together")


async def _prepared(service: Service, served: Served, asked: LinkRequest) -> list[Question] | str:
    """The questions of one text of a batch, or why there are none."""
    try:
        return await questions_of(service, served, asked, None)
    except ApiError as refusal:
        if refusal.status_code == BUSY:
            raise
        return str(refusal.detail)


async def questions_of(service: Service, served: Served, asked: LinkRequest, upload: bytes | None) -> list[Question]:
    """A question for each mention of a text. Raises `ApiError` (413, 422) when something in it is wrong."""
    settings = service.settings
    if len(asked.text) > settings.characters:
        raise ApiError(413, f"field 'text': has more than {settings.characters:,} characters; send a part of it")
    if asked.k > settings.candidates:
        raise ApiError(422, f"field 'k': is above {settings.candidates}; ask for fewer candidates")
    spans = asked.mentions or [Span(start=start, end=end) for start, end in await service.find(asked.text, served)]
    check_number(service, len(spans))
    mentions = [_mention(number, span, asked.text) for number, span in enumerate(spans)]
    image = await service.picture(upload or asked.image)
    types = Types(asked.types) if asked.types else None
    return [Question(mention, image, asked.k, types) for mention in mentions]


def _mention(number: int, span: Span, text: str) -> Mention:
    surface = text[span.start : span.end]
    if span.end > len(text) or not surface.strip():
        where = f"[{span.start}, {span.end}) covers no words of the text of {len(text)} characters"
        raise ApiError(422, f"field 'mentions.{number}': {where}; give code point offsets, end excluded")
    return Mention(id=str(number), text=text, start=span.start, end=span.end, surface=surface)
