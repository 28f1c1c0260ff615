"""Queries of the Reconciliation API 0.2, and their answers: the linker's candidates, and whoever is named outright."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from melder.records import Candidate, Entity, Link, Mention
from melder.search.filters import Types
from melder.serving.catalogue import Catalogue
from melder.serving.properties import CONTEXT, IMAGE

__all__ = ["Queries", "Query", "identified", "mention_of", "picture_of", "results"]

LIMIT = 10  # candidates when a query does not say: what OpenRefine shows without scrolling
CERTAIN = 100.0  # the score of an entity whose id is the query


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Reference(_Part):
    """An entity as a property's value, reconciled before."""

    id: str
    name: str = ""


Value = bool | float | str | Reference


class PropertyValue(BaseModel):
    """A property and its value or values; the schema lets clients add keys."""

    model_config = ConfigDict(frozen=True)

    pid: str
    v: Value | tuple[Value, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The values as people write them."""
        values = self.v if isinstance(self.v, tuple) else (self.v,)
        return tuple(text for text in map(_text, values) if text.strip())


class Query(_Part):
    """One query: a name, or at least one property."""

    query: str | None = None
    type: str | tuple[str, ...] = ()
    limit: float = Field(LIMIT, allow_inf_nan=False)
    properties: tuple[PropertyValue, ...] = ()
    type_strict: Literal["any", "should", "all"] = "any"

    @model_validator(mode="after")
    def _asks_something(self) -> Query:
        if self.query is None and not self.properties:
            raise ValueError("a query needs 'query' or at least one of 'properties'")
        return self

    @property
    def surface(self) -> str:
        return (self.query or "").strip()

    @property
    def types(self) -> tuple[str, ...]:
        return (self.type,) if isinstance(self.type, str) else self.type

    @property
    def wanted_types(self) -> Types | None:
        """Those of which a candidate must be; "should" leaves that to the client."""
        if not self.types or self.type_strict == "should":
            return None
        return Types(self.types, every=self.type_strict == "all")

    def wanted(self, most: int) -> int:
        """How many candidates are asked for, within what the service gives."""
        return int(min(max(self.limit, 1), most))

    def admits(self, entity: Entity) -> bool:
        """Whether an entity is of a type that is asked for."""
        return self.wanted_types is None or self.wanted_types.admit(entity.types)


class Queries(RootModel[dict[str, Query]]):
    """A batch, by the client's own keys."""


def mention_of(query: Query) -> Mention:
    """The query as a mention in its context; without a place in it where it does not occur there."""
    said = [each for each in query.properties if each.pid != IMAGE]
    said.sort(key=lambda each: each.pid != CONTEXT)  # the sentence first: encoders cut off the end
    context = " ".join(text for each in said for text in each.texts)
    text, surface = context or query.surface, query.surface
    start = text.find(surface) if surface else -1
    span = {"start": start, "end": start + len(surface)} if start >= 0 else {}
    return Mention(id="query", text=text, surface=surface, **span)


def picture_of(query: Query) -> str | None:
    """The first picture among the properties."""
    return next((text for each in query.properties if each.pid == IMAGE for text in each.texts), None)


def results(query: Query, link: Link, catalogue: Catalogue, most: int) -> list[dict[str, Any]]:
    """Candidates in the API's form, best first, among them every entity that has just this name.

    Without context and picture those come first, with the best score: then the name is all there is to go by.
    A match is the first candidate, when it is the only entity of that name.
    """
    named = [each for each in catalogue.named(query.surface) if query.admits(each)] if query.surface else []
    found = [(each, catalogue.entity(each.id)) for each in link.candidates]
    ranked = [(entity, each) for each, entity in found if entity is not None]
    ranked = _with_named(ranked, named, first=not query.properties)[: query.wanted(most)]
    sure = {named[0].id} if len(named) == 1 else set()
    return [
        _result(entity, candidate, query, link.nil_probability, match=place == 0 and entity.id in sure)
        for place, (entity, candidate) in enumerate(ranked)
    ]


def identified(query: Query, entity: Entity) -> dict[str, Any]:
    """The answer to a query that is an entity's id."""
    return _result(entity, Candidate(id=entity.id, name=entity.name, score=CERTAIN), query, None, match=True)


Ranked = list[tuple[Entity, Candidate]]


def _with_named(ranked: Ranked, named: Sequence[Entity], *, first: bool) -> Ranked:
    scored = {entity.id for entity, _ in ranked}
    best, worst = (ranked[0][1].score, ranked[-1][1].score) if ranked else (0.0, 0.0)
    missing = [(each, Candidate(id=each.id, name=each.name, score=worst)) for each in named if each.id not in scored]
    ranked = ranked + missing
    if not first or not named:
        return ranked
    ids = {each.id for each in named}
    raised = [(entity, each.model_copy(update={"score": best})) for entity, each in ranked if entity.id in ids]
    return raised + [pair for pair in ranked if pair[0].id not in ids]


def _result(
    entity: Entity, candidate: Candidate, query: Query, nil_probability: float | None, *, match: bool
) -> dict[str, Any]:
    features: dict[str, float | bool] = dict(candidate.units)
    if nil_probability is not None:
        features["nil_probability"] = nil_probability
    if query.types:
        features["type_match"] = any(kind in entity.types for kind in query.types)
    return {
        "id": entity.id,
        "name": entity.name or entity.id,
        "description": entity.description,
        "type": [{"id": kind, "name": kind} for kind in entity.types],
        "score": candidate.score,
        "match": match,
        "features": [{"id": name, "value": value} for name, value in features.items()],
    }


def _text(value: Value) -> str:
    if isinstance(value, Reference):
        return value.name or value.id
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else value
