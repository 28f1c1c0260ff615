"""/reconcile: the manifest, and queries by GET and by POST (W3C Reconciliation Service API 0.2)"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request

import melder
from melder.records import Link
from melder.serving.errors import BUSY, ApiError, Refused, parsed
from melder.serving.extending import extended
from melder.serving.forms import read_form
from melder.serving.queries import Queries, Query, identified, mention_of, picture_of, results
from melder.serving.service import Question, Service, Serving, before_deadline
from melder.serving.source import Served

__all__ = ["router"]

router = APIRouter(
    prefix="/reconcile",
    tags=["reconciliation"],
    responses={status: {"model": Refused} for status in (400, 413, 503, 504)},
)
TYPES = 10  # offered before a column is looked at


@router.get("", summary="The manifest; with ?queries= or ?extend=, their answer")
@router.get("/", include_in_schema=False)
async def get(request: Request, service: Serving) -> dict[str, Any]:
    answer = await _answer(request, service, request.query_params)
    if answer is not None:
        return answer
    return await asyncio.to_thread(_manifest, _base(request, service), service.current.served)


@router.post("", summary="Queries, or an extension, as a field of a form")
@router.post("/", include_in_schema=False)
async def post(request: Request, service: Serving) -> dict[str, Any]:
    """`queries={"q0": {"query": "Guinea", "properties": [{"pid": "context", "v": "Guinea won the toss"}]}}`"""
    fields = await read_form(request, service.settings)
    answer = await _answer(request, service, {name: each for name, each in fields.items() if isinstance(each, str)})
    if answer is None:
        raise ApiError(400, "send a form with the field queries, or with the field extend")
    return answer


async def _answer(request: Request, service: Service, fields: Mapping[str, str]) -> dict[str, Any] | None:
    """The answer to `queries` or `extend`; None when neither is there."""
    if "callback" in fields or "callback" in request.query_params:
        raise ApiError(400, "JSONP is not offered, since it runs code; leave out callback, every answer allows CORS")
    served = service.current.served
    if "queries" in fields:
        async with before_deadline(request, service.settings):
            return await _reconciled(service, served, fields["queries"])
    if "extend" in fields:
        return await asyncio.to_thread(extended, fields["extend"], served, service.settings)
    return None


async def _reconciled(service: Service, served: Served, content: str) -> dict[str, Any]:
    """A result a query. One that is wrong has no candidates and says why in `error`."""
    queries = parsed(Queries, content, 400).root
    if len(queries) > service.settings.queries:
        raise ApiError(413, f"there are {len(queries)} queries; send at most {service.settings.queries} together")
    answers = await asyncio.to_thread(_identified, queries, served)
    questions: dict[str, Question] = {}
    for key, query in queries.items():
        if key in answers:
            continue
        try:
            questions[key] = await _question(service, query)
        except ApiError as refusal:
            if refusal.status_code == BUSY:
                raise
            answers[key] = {"result": [], "error": refusal.detail}
    links = await service.link(list(questions.values()), served)
    asked = [queries[key] for key in questions]
    found = await asyncio.to_thread(_results, asked, links, served, service.settings.candidates)
    answers |= {key: {"result": result} for key, result in zip(questions, found, strict=True)}
    return {key: answers[key] for key in queries}


def _identified(queries: Mapping[str, Query], served: Served) -> dict[str, Any]:
    """Answers to those queries that are an entity's id."""
    found = {key: (query, served.catalogue.entity(query.surface)) for key, query in queries.items()}
    return {key: {"result": [identified(query, entity)]} for key, (query, entity) in found.items() if entity}


def _results(queries: Sequence[Query], links: Sequence[Link], served: Served, most: int) -> list[list[dict[str, Any]]]:
    return [results(query, link, served.catalogue, most) for query, link in zip(queries, links, strict=True)]


async def _question(service: Service, query: Query) -> Question:
    mention, most = mention_of(query), service.settings.candidates
    if len(mention.text) > service.settings.characters:
        raise ApiError(413, f"the query has more than {service.settings.characters:,} characters; send a part of it")
    image = await service.picture(picture_of(query))
    return Question(mention, image, query.wanted(most), query.wanted_types)


def _base(request: Request, service: Service) -> str:
    return (service.settings.public_url or str(request.base_url)).rstrip("/")


def _manifest(base: str, served: Served) -> dict[str, Any]:
    def suggest(kind: str) -> dict[str, str]:
        return {
            "service_url": base,
            "service_path": f"/reconcile/suggest/{kind}",
            "flyout_service_path": f"/reconcile/flyout/{kind}?id=${{id}}",
        }

    return {
        "versions": ["0.2"],
        "name": f"{served.name} (Melder)",
        "identifierSpace": f"{base}/entities/",
        "schemaSpace": f"{base}/reconcile/properties/",
        "documentation": f"{base}/openapi.json",
        "serviceVersion": melder.__version__,
        "defaultTypes": [{"id": kind, "name": kind} for kind in served.catalogue.types[:TYPES]],
        "view": {"url": f"{base}/reconcile/preview?id={{{{id}}}}"},
        "preview": {"url": f"{base}/reconcile/preview?id={{{{id}}}}", "width": 400, "height": 220},
        "suggest": {kind: suggest(kind) for kind in ("entity", "type", "property")},
        "extend": {
            "propose_properties": {"service_url": base, "service_path": "/reconcile/extend/propose"},
            "property_settings": [
                {
                    "name": "limit",
                    "label": "Limit",
                    "type": "number",
                    "default": 0,
                    "help_text": "Values a row at most; 0 for all",
                }
            ],
        },
    }
