"""/reconcile/suggest/entity, /type and /property: what an input field offers while somebody types

Routes that read the disk are no coroutines: they run in threads, and hold what is served as long as they read it.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from melder.names import folded
from melder.serving.reconcile.properties import OF_ENTITIES, OF_QUERIES
from melder.serving.service import Serving

__all__ = ["router"]

router = APIRouter(prefix="/reconcile/suggest", tags=["reconciliation"])
Prefix = Annotated[str, Query(max_length=200, description="what was typed so far", examples=["c"])]
Cursor = Annotated[int, Query(ge=0, le=10_000, description="how many suggestions to pass over")]


@router.get("/entity", summary="Entities by the start of a word of a name, or by id")
def suggest_entity(service: Serving, prefix: Prefix = "", cursor: Cursor = 0) -> dict[str, Any]:
    served, count = service.current.served, service.settings.suggestions
    catalogue = served.catalogue
    identified = catalogue.entity(prefix.strip())
    found = ([identified] if identified else []) + list(catalogue.starting(prefix, cursor + count + 1))
    shown = list({each.id: each for each in found}.values())[cursor : cursor + count]
    return {
        "result": [
            {
                "id": each.id,
                "name": each.name or each.id,
                "description": each.description,
                "notable": [{"id": kind, "name": kind} for kind in each.types],
            }
            for each in shown
        ]
    }


@router.get("/type", summary="Types by the start of a word")
def suggest_type(service: Serving, prefix: Prefix = "", cursor: Cursor = 0) -> dict[str, Any]:
    served = service.current.served
    found = [kind for kind in served.catalogue.types if _starts(kind, prefix)]
    shown = found[cursor : cursor + service.settings.suggestions]
    return {"result": [{"id": kind, "name": kind} for kind in shown]}


@router.get("/property", summary="Properties of queries and of entities by the start of a word")
async def suggest_property(service: Serving, prefix: Prefix = "", cursor: Cursor = 0) -> dict[str, Any]:
    found = [
        each for each in (OF_QUERIES | OF_ENTITIES).values() if _starts(each.name, prefix) or _starts(each.id, prefix)
    ]
    shown = found[cursor : cursor + service.settings.suggestions]
    return {"result": [{"id": each.id, "name": each.name, "description": each.description} for each in shown]}


def _starts(name: str, prefix: str) -> bool:
    return f" {folded(name)}".find(f" {folded(prefix)}") >= 0
