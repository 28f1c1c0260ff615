"""/reconcile/preview: an entity on a small page, for the frame that OpenRefine opens"""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, Response

from melder.evaluation.report.document import render
from melder.evaluation.report.thumbnails import Album
from melder.serving.errors import ApiError, Refused
from melder.serving.service import Serving
from melder.serving.source import Served

__all__ = ["router"]

router = APIRouter(prefix="/reconcile", tags=["reconciliation"], responses={404: {"model": Refused}})
SIDE = 160  # pixels of the picture
POLICY = "default-src 'none'; img-src data:; style-src 'self'; frame-ancestors *; base-uri 'none'; form-action 'none'"


@router.get(
    "/preview",
    summary="An entity as an HTML page",
    response_class=Response,  # FastAPI then describes refusals as the JSON that they are
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)
async def preview(id: Annotated[str, Query(examples=["GN"])], service: Serving) -> HTMLResponse:
    page = await service.pictures.decode(_page, service.current.served, id)
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})


@router.get("/preview.css", include_in_schema=False)
async def style() -> Response:
    content = files("melder.serving").joinpath("templates").joinpath("preview.css").read_text(encoding="utf-8")
    return Response(content, media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})


def _page(served: Served, identity: str) -> str:
    entity = served.catalogue.entity(identity)
    if entity is None:
        raise ApiError(404, f"there is no entity {identity!r}")
    stored = served.catalogue.picture(entity)
    picture = None if stored is None else Album().thumbnail(stored, SIDE)
    return render("melder.serving", "preview.html", title=entity.name or entity.id, entity=entity, picture=picture)
