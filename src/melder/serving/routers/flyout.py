"""/reconcile/flyout/entity, /type and /property: a few lines about a suggestion"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from melder.evaluation.report.document import render
from melder.serving.errors import ApiError, Refused
from melder.serving.reconcile.properties import OF_ENTITIES, OF_QUERIES
from melder.serving.service import Serving

__all__ = ["router"]

router = APIRouter(prefix="/reconcile/flyout", tags=["reconciliation"], responses={404: {"model": Refused}})


@router.get("/entity", summary="Lines about an entity, as HTML")
def flyout_entity(id: Annotated[str, Query(examples=["GN"])], service: Serving) -> dict[str, str]:
    served = service.current.served
    entity = served.catalogue.entity(id)
    if entity is None:
        raise ApiError(404, f"there is no entity {id!r}")
    return {"id": id, "html": _lines(entity.name or id, entity.description, ", ".join(entity.types))}


@router.get("/type", summary="Lines about a type, as HTML")
def flyout_type(id: Annotated[str, Query(examples=["country"])], service: Serving) -> dict[str, str]:
    served = service.current.served
    if id not in served.catalogue.types:
        raise ApiError(404, f"there is no type {id!r}")
    return {"id": id, "html": _lines(id)}


@router.get("/property", summary="Lines about a property, as HTML")
async def flyout_property(id: Annotated[str, Query(examples=["description"])]) -> dict[str, str]:
    described = (OF_QUERIES | OF_ENTITIES).get(id)
    if described is None:
        raise ApiError(404, f"there is no property {id!r}")
    return {"id": id, "html": _lines(described.name, described.description)}


def _lines(title: str, *texts: str) -> str:
    """Text in, HTML out; everything is escaped, since a knowledge base may say anything."""
    return render("melder.serving", "flyout.html", title=title, texts=texts)
