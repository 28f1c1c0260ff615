"""POST and DELETE /entities/ID/exemplars"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, FailFast, Field, model_validator

from melder.records import LanguageTag
from melder.serving.changes import Changed
from melder.serving.errors import ApiError, Refused
from melder.serving.requests import Span
from melder.serving.routers.entities import CHANGES, Editing, EditingRoute, Identity, changed, known
from melder.serving.routers.link import mention_at
from melder.serving.service import Service, Serving
from melder.serving.source import NewExemplar

__all__ = ["router"]

router = APIRouter(
    route_class=EditingRoute,
    prefix="/entities",
    tags=["entities"],
    responses={status: {"model": Refused} for status in (404, 422)},
)
EXAMPLE: dict[str, Any] = {"text": "Two of the small green ones", "start": 7, "end": 27}


class ExemplarRequest(Span):
    """A mention that meant an entity: a text, where the mention stands in it, and perhaps a picture."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [EXAMPLE]})

    text: str
    language: LanguageTag | None = Field(None, description="of the text, such as de")
    image: str | None = Field(None, description="base64 or a data URI")


class ExemplarRequests(BaseModel):
    """Some mentions of one entity."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"exemplars": [EXAMPLE]}]})

    exemplars: Annotated[tuple[ExemplarRequest, ...], FailFast()] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _one_alone(cls, value: Any) -> Any:
        return {"exemplars": [value]} if isinstance(value, dict) and "text" in value else value


@router.post("/{identity}/exemplars", summary="Learn mentions that meant an entity", status_code=201, responses=CHANGES)
async def learn(identity: Identity, body: ExemplarRequests, service: Serving, source: Editing) -> Changed:
    """One mention, or `{"exemplars": […]}`. Links are made with them at once, without any training.

    The same mention again changes nothing; sent for another entity it is a correction.
    """
    if len(body.exemplars) > (most := service.settings.changed):
        raise ApiError(413, f"there are {len(body.exemplars)} mentions; send at most {most} together")
    await asyncio.to_thread(known, service.current.served, identity)
    mentions = [await _exemplar(service, number, asked) for number, asked in enumerate(body.exemplars)]

    def write() -> None:
        known(service.current.served, identity)
        source.learn(identity, mentions)

    return await changed(service, write)


@router.delete("/{identity}/exemplars", summary="Forget all mentions that meant an entity", responses=CHANGES)
async def forget(identity: Identity, service: Serving, source: Editing) -> Changed:
    def write() -> None:
        known(service.current.served, identity)
        source.forget(identity)

    return await changed(service, write)


async def _exemplar(service: Service, number: int, asked: ExemplarRequest) -> NewExemplar:
    settings = service.settings
    if len(asked.text) > settings.characters:
        raise ApiError(413, f"field 'text': has more than {settings.characters:,} characters; send a part of it")
    mention = mention_at(asked, asked, "exemplars", number, settings)
    return NewExemplar(mention, await service.pictures.take(asked.image))
