"""POST /explain: a link, and which words and patches matched in it"""

from __future__ import annotations

from fastapi import APIRouter, Request

from melder.serving.errors import Refused
from melder.serving.limits.body_route import BodyRoute
from melder.serving.requests import OR_FORM, ExplainAnswer, ExplainRequest
from melder.serving.routers.link import check_work, tasks_of
from melder.serving.service import Serving, before_deadline

__all__ = ["router"]

router = APIRouter(
    route_class=BodyRoute,
    tags=["link"],
    responses={status: {"model": Refused} for status in (400, 403, 408, 413, 422, 500, 501, 502, 503, 504)},
)


@router.post("/explain", summary="Why a mention is linked so", openapi_extra=OR_FORM)
async def explain(asked: ExplainRequest, request: Request, service: Serving) -> ExplainAnswer:
    """As /link, for one mention, with what each unit matched of it and of its first ten candidates."""
    served = service.current.served
    async with before_deadline(request, service.settings):
        (task,) = tasks = await tasks_of(service, served, asked)
        check_work(service, tasks)
        (link,) = await service.link(tasks)
        explanation = await service.explain(task, link)
    return ExplainAnswer(generation=served.generation, model=served.model, link=link, explanation=explanation)
