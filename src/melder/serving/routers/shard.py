"""GET /shard"""

from __future__ import annotations

from fastapi import APIRouter

from melder.linking.shard_service import ShardDescription
from melder.serving.errors import ApiError
from melder.serving.service import Serving

__all__ = ["router"]

router = APIRouter(tags=["link"])


@router.get("/shard", summary="What is held here, for a service that asks several")
def shard(service: Serving) -> ShardDescription:
    """How many entities, their types, the model, and how its scores become NIL probabilities."""
    served = service.current.served
    if not served.linker.has_comparable_scores:
        raise ApiError(
            409, "this shard has a second look, and shards are looked at together; serve it with rerank.top=0"
        )
    return ShardDescription(
        generation=served.generation,
        model=served.model,
        entities=len(served.catalogue),
        types=tuple(served.catalogue.types),
        pictures=served.linker.pictures_read,
        compares_pictures=served.linker.compares_pictures,
        nil=served.linker.nil,
    )
