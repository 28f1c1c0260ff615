"""POST /nif: NIF 2.1 in Turtle, in and out, as GERBIL and ELEVANT ask annotators. Needs `melder[nif]`."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Body, Request
from starlette.responses import Response

from melder.serving.errors import ApiError, Refused
from melder.serving.limits.body_route import BodyRoute
from melder.serving.requests import LinkRequest
from melder.serving.routers.link import check_searched, check_work, tasks_of
from melder.serving.service import Serving, before_deadline

__all__ = ["router"]


TURTLE = "text/turtle"
EXAMPLE = """@prefix nif: <http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
<http://example.org/text#char=0,19> a nif:Context ; nif:isString "Guinea won the toss" ;
  nif:beginIndex "0"^^xsd:nonNegativeInteger ; nif:endIndex "19"^^xsd:nonNegativeInteger .
"""
router = APIRouter(
    route_class=BodyRoute,
    tags=["nif"],
    responses={
        200: {"content": {TURTLE: {"schema": {"type": "string"}}}},
        **{status: {"model": Refused} for status in (400, 408, 413, 422, 500, 501, 503, 504)},
    },
    default_response_class=Response,  # FastAPI then describes refusals as the JSON that they are
)


@router.post("/nif", summary="Link the mentions of a NIF document")
async def nif(
    document: Annotated[bytes, Body(media_type=TURTLE, examples=[EXAMPLE])], request: Request, service: Serving
) -> Response:
    """Mentions that are marked get their entities (D2KB); in a text without any they are found (A2KB)."""
    if find_spec("rdflib") is None:
        raise ApiError(501, "NIF is not installed here; install it with pip install 'melder[nif]'")
    from melder.serving.nif import read_nif, write_nif

    settings, served = service.settings, service.current.served
    if len(document) > settings.nif_bytes:
        raise ApiError(413, f"the document has more than {settings.nif_bytes:,} bytes; send fewer texts together")
    async with before_deadline(request, settings):
        graph, texts = await asyncio.to_thread(read_nif, document, settings.nif_triples)
        if len(texts) > settings.texts:
            raise ApiError(413, f"there are {len(texts)} texts; send at most {settings.texts} together")
        asked = [LinkRequest(text=text.text, mentions=tuple(text.spans), image=None, k=1) for text in texts]
        check_searched(service, asked)
        tasks = [await tasks_of(service, served, of_text) for of_text in asked]
        together = [task for of_text in tasks for task in of_text]
        check_work(service, together)
        links = iter(await service.link(together))
        of_texts = [list(islice(links, len(of_text))) for of_text in tasks]
        answer = await asyncio.to_thread(write_nif, graph, texts, of_texts, settings.entity_uri)
    return Response(answer, media_type=TURTLE)
