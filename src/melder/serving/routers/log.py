"""GET /log: the mentions that were linked, for whoever reviews them"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from melder.serving.errors import ApiError, Refused
from melder.serving.routers.entities import check_token
from melder.serving.service import Serving

__all__ = ["router"]

JSON_LINES = "application/x-ndjson"
router = APIRouter(tags=["link"], responses={status: {"model": Refused} for status in (401, 403, 404, 422)})


@router.get(
    "/log",
    summary="The newest mentions that were linked",
    response_class=Response,
    responses={200: {"content": {JSON_LINES: {"schema": {"type": "string"}}}}},
)
async def logged(request: Request, service: Serving, limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000) -> Response:
    """JSON Lines of mentions, the oldest first. Texts are private: the service's token is needed."""
    check_token(request)
    if service.log is None:
        raise ApiError(404, "no mentions are kept; start the service with --log FILE to keep them")
    return Response(await asyncio.to_thread(service.log.newest, limit), media_type=f"{JSON_LINES}; charset=utf-8")
