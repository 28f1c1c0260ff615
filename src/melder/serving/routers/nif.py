"""POST /nif: NIF 2.1 in Turtle, in and out, as GERBIL and ELEVANT ask annotators. Needs `melder[nif]`."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from itertools import islice

from fastapi import APIRouter, Request
from starlette.responses import Response

from melder.serving.errors import ApiError, Refused
from melder.serving.requests import LinkRequest
from melder.serving.routers.link import check_number, questions_of
from melder.serving.service import Serving, before_deadline

__all__ = ["router"]

TURTLE = "text/turtle"
router = APIRouter(tags=["nif"], responses={status: {"model": Refused} for status in (400, 413, 422, 501, 503, 504)})
BODY = {"required": True, "content": {TURTLE: {"schema": {"type": "string"}}}}


@router.post("/nif", summary="Link the mentions of a NIF document", openapi_extra={"requestBody": BODY})
async def nif(request: Request, service: Serving) -> Response:
    """Mentions that are marked get their entities (D2KB); in a text without any they are found (A2KB)."""
    if find_spec("rdflib") is None:
        raise ApiError(501, "NIF is not installed here; install it with pip install 'melder[nif]'")
    from melder.serving.nif import read_nif, write_nif

    content, served = await request.body(), service.current.served
    if len(content) > 4 * service.settings.characters * service.settings.texts:
        raise ApiError(413, "the document is too large; send fewer texts together")
    async with before_deadline(request, service.settings):
        graph, texts = await asyncio.to_thread(read_nif, content)
        if len(texts) > service.settings.texts:
            raise ApiError(413, f"there are {len(texts)} texts; send at most {service.settings.texts} together")
        asked = [LinkRequest(text=each.text, mentions=tuple(each.spans), image=None, k=1) for each in texts]
        questions = [await questions_of(service, served, each, None) for each in asked]
        check_number(service, sum(map(len, questions)))
        links = iter(await service.link([each for some in questions for each in some], served))
        found = [list(islice(links, len(each))) for each in questions]
        answer = await asyncio.to_thread(write_nif, graph, texts, found, service.settings.entity_uri)
    return Response(answer, media_type=TURTLE)
