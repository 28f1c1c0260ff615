"""POST /explain: a link, and which words and patches matched in it"""

from __future__ import annotations

from fastapi import APIRouter, Request

from melder.serving.errors import ApiError, Refused
from melder.serving.requests import ExplainAnswer
from melder.serving.routers.link import BODY, questions_of, read_request
from melder.serving.service import Serving, before_deadline

__all__ = ["router"]

router = APIRouter(tags=["link"], responses={status: {"model": Refused} for status in (400, 413, 422, 501, 503, 504)})


@router.post("/explain", summary="Why a mention is linked so", openapi_extra={"requestBody": BODY})
async def explain(request: Request, service: Serving) -> ExplainAnswer:
    """As /link, for one mention, with what each unit matched of it and of its first ten candidates."""
    asked, upload = await read_request(request, service)
    if len(asked.mentions) != 1:
        raise ApiError(422, f"field 'mentions': has {len(asked.mentions)} mentions; explain one at a time")
    served = service.current.served
    async with before_deadline(request, service.settings):
        (question,) = await questions_of(service, served, asked, upload)
        (link,) = await service.link([question], served)
        explanation = await service.explain(question, link, served)
    return ExplainAnswer(generation=served.generation, model=served.model, link=link, explanation=explanation)
