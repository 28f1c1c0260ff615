"""GET /healthz, /readyz, /metrics"""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from melder.serving.errors import Refused, busy
from melder.serving.service import Serving

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is the service alive?")
async def healthz() -> dict[str, str]:
    """Answers as long as the process does."""
    return {"status": "ok"}


@router.get("/readyz", summary="Would a request be answered?", responses={503: {"model": Refused}})
async def readyz(service: Serving) -> dict[str, str]:
    """503 while the queue is full, so that a balancer looks elsewhere."""
    if service.full:
        raise busy(service.settings)
    served = service.current.served
    return {"status": "ok", "generation": served.generation, "model": served.model}


@router.get(
    "/metrics",
    summary="Measures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(service: Serving) -> Response:
    return Response(service.measures.page(), media_type=CONTENT_TYPE_LATEST)
