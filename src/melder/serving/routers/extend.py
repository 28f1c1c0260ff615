"""/reconcile/extend/propose: the properties whose values may be fetched into columns"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from melder.serving.reconcile.properties import OF_ENTITIES

__all__ = ["router"]

router = APIRouter(prefix="/reconcile/extend", tags=["reconciliation"])


@router.get("/propose", summary="Properties of entities, the same ones for every type")
async def propose(type: str | None = None, limit: Annotated[int, Query(ge=1)] = 100) -> dict[str, Any]:
    shown = [{"id": each.id, "name": each.name} for each in OF_ENTITIES.values()][:limit]
    return {"properties": shown, "limit": limit} | ({"type": type} if type is not None else {})
