"""What /link and /link/batch take and give, with the examples that the API's description shows."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from melder.linking.evidence import Explanation
from melder.records import Link

__all__ = ["BatchAnswer", "BatchRequest", "ExplainAnswer", "LinkAnswer", "LinkRequest", "Links", "Span"]

TEXT = "Guinea won the toss"
EXAMPLE: dict[str, Any] = {"text": TEXT, "mentions": [{"start": 0, "end": 6}], "k": 3}
LINK: dict[str, Any] = {
    "id": "0",
    "start": 0,
    "end": 6,
    "surface": "Guinea",
    "nil_probability": None,
    "candidates": [
        {"id": "GN", "name": "Guinea", "score": 9.81, "units": {"text": 2.9, "image": 3.0, "lexical": 3.91}}
    ],
}
IDENTITY: dict[str, Any] = {"generation": "000007", "model": "m3el-3f9a12cd07b4"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Span(_Part):
    """Where a mention is: code points from `start` up to, not including, `end`."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)


class LinkRequest(_Part):
    """A text, the mentions in it, and perhaps a picture that goes with them.

    Without mentions, those places are linked that name an entity of the knowledge base.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    text: str
    mentions: tuple[Span, ...] = Field((), description="none: find names of entities in the text")
    image: str | None = Field(None, description="base64 or a data URI; an http address where the service allows it")
    k: int = Field(10, ge=1, description="candidates a mention")
    types: tuple[str, ...] = Field((), max_length=100, description="none: entities of every type; else of any of these")


class BatchRequest(_Part):
    model_config = ConfigDict(json_schema_extra={"examples": [{"requests": [EXAMPLE, EXAMPLE | {"k": 1}]}]})

    requests: tuple[LinkRequest, ...] = Field(min_length=1)


class LinkAnswer(_Part):
    """Links in the order of the mentions, or of the text where they were found; their ids are 0, 1, …"""

    model_config = ConfigDict(json_schema_extra={"examples": [IDENTITY | {"links": [LINK]}]})

    generation: str
    model: str
    links: tuple[Link, ...]


class ExplainAnswer(_Part):
    """One link, and what matched in it."""

    generation: str
    model: str
    link: Link
    explanation: Explanation


class Links(_Part):
    """The links of one text of a batch, or what was wrong with it."""

    links: tuple[Link, ...] = ()
    error: str | None = None


class BatchAnswer(_Part):
    model_config = ConfigDict(json_schema_extra={"examples": [IDENTITY | {"results": [{"links": [LINK]}]}]})

    generation: str
    model: str
    results: tuple[Links, ...]
