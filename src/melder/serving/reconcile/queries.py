"""Queries of the Reconciliation API 0.2: read one by one, so that a mistake is that of one query only."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    FailFast,
    Field,
    RootModel,
    Tag,
    model_validator,
)

from melder.names import folded
from melder.records import Entity, Mention
from melder.search.filters import Types
from melder.serving.errors import ApiError, parsed, validated
from melder.serving.limits.json_bounds import check_json
from melder.serving.reconcile.properties import CONTEXT, IMAGE
from melder.serving.settings import ServiceSettings

__all__ = [
    "ReconciliationQuery",
    "as_text",
    "mention_of",
    "pictures_of",
    "read_queries",
]

EXTENDED = ("str", "date", "float", "int", "bool", "name")  # keys of a value that an extension gives
LIMIT = 10  # candidates when a query does not say: what OpenRefine shows without scrolling


def _without_null(value: Any) -> Any:
    """An object less its keys without a value: null says what leaving out says."""
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


class _LenientPart(BaseModel):
    """Keys that this service does not know are passed over, as other services do."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        return _without_null(value)


class Reference(_LenientPart):
    """An entity as a property's value, reconciled before."""

    id: str
    name: str = ""


def _kind(value: Any) -> str:
    """Which kind of value this is, so that one rule is tried on it and not all of them."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else "entity"


Number = Annotated[float, Field(allow_inf_nan=False)]
Value = Annotated[
    Annotated[bool, Tag("bool")]
    | Annotated[Number, Tag("number")]
    | Annotated[str, Tag("text")]
    | Annotated[Reference, Tag("entity")],
    Discriminator(_kind),
]


def _as_list(value: Any) -> Any:
    """A value or a list of values as a list, less nulls."""
    if value is None:
        return []
    return [item for item in value if item is not None] if isinstance(value, (list, tuple)) else [value]


def _as_values(value: Any) -> Any:
    """Values as a list; one that an extension gave, such as {"str": "Mali"}, is what it says."""
    return [_of_extension(item) for item in _as_list(value)]


def _of_extension(value: Any) -> Any:
    if not isinstance(value, dict) or value.get("id") is not None:
        return value
    return next((value[key] for key in EXTENDED if value.get(key) is not None), value)


def _as_ids(value: Any) -> Any:
    """Types by their ids, which clients give alone or in objects."""
    return [item["id"] if isinstance(item, dict) and "id" in item else item for item in _as_list(value)]


def as_text(value: Any) -> Any:
    """A number as the name or the id that it is in a table.

    Args:
        value: Of JSON.

    Returns:
        Text; what is no number, or none that is finite, as it is.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return _text(value) if isinstance(value, int) or math.isfinite(value) else value


def _as_word(value: Any) -> Any:
    """One of several words in any case."""
    return value.strip().lower() if isinstance(value, str) else value


class PropertyValue(_LenientPart):
    """A property and its value or values; none for null."""

    pid: str
    v: Annotated[tuple[Value, ...], FailFast(), BeforeValidator(_as_values)] = ()

    @model_validator(mode="before")
    @classmethod
    def _old_name(cls, value: Any) -> Any:
        """Early clients name a property by `p`."""
        return {"pid": value["p"], **value} if isinstance(value, dict) and "p" in value else value

    @property
    def texts(self) -> tuple[str, ...]:
        """The values as people write them."""
        return tuple(text for text in map(_text, self.v) if text.strip())


class ReconciliationQuery(_LenientPart):
    """One query: a name, or at least one property."""

    query: Annotated[str | None, BeforeValidator(as_text)] = None
    type: Annotated[tuple[str, ...], FailFast(), BeforeValidator(_as_ids)] = Field((), max_length=100)
    limit: float = Field(LIMIT, allow_inf_nan=False)
    properties: Annotated[tuple[PropertyValue, ...], FailFast(), BeforeValidator(_as_list)] = ()
    type_strict: Annotated[Literal["any", "should", "all"], BeforeValidator(_as_word)] = "any"

    @model_validator(mode="after")
    def _asks_something(self) -> ReconciliationQuery:
        if self.query is None and not self.properties:
            raise ValueError("needs 'query' or at least one of 'properties'")
        return self

    @property
    def surface(self) -> str:
        return (self.query or "").strip()

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(kind for kind in self.type if kind.strip())

    @property
    def wanted_types(self) -> Types | None:
        """Those of which a candidate must be; "should" only puts entities of these first."""
        if not self.types or self.type_strict == "should":
            return None
        return Types(self.types, every=self.type_strict == "all")

    @property
    def fault(self) -> str | None:
        """Why a query that is well-formed asks for nothing."""
        if self.limit < 1:
            return f"field 'limit': must be a number from 1 up, not {self.limit:g}"
        if not folded(mention_of(self).text) and not pictures_of(self):
            return "field 'query': is empty; give a name, or properties that say something"
        return None

    def is_typed(self, entity: Entity) -> bool:
        """Whether an entity is of a type that is asked for, strictly or not."""
        return not self.types or any(kind in entity.types for kind in self.types)

    def wanted(self, most: int) -> int:
        """How many candidates are asked for, within what the service gives."""
        return int(min(self.limit, most))

    def admits(self, entity: Entity) -> bool:
        """Whether an entity is of a type that is asked for."""
        return self.wanted_types is None or self.wanted_types.admit(entity.types)


def read_queries(content: str, settings: ServiceSettings) -> dict[str, ReconciliationQuery | str]:
    """A batch by the client's own keys; in the place of a query that is wrong, what is wrong with it.

    Raises:
        ApiError: (400) when it is no batch or every query in it is wrong, (413) when there are too many.
    """
    check_json(content.encode(errors="surrogatepass"), settings)
    batch = parsed(QueryBatch, content, 400).root
    if len(batch) > settings.queries:
        raise ApiError(413, f"there are {len(batch)} queries; send at most {settings.queries} together")
    queries = {key: _query(value) for key, value in batch.items()}
    wrong = {key: query for key, query in queries.items() if isinstance(query, str)}
    if wrong and len(wrong) == len(queries):
        key, sentence = next(iter(wrong.items()))
        raise ApiError(400, f"query {key!r}: {sentence}")
    return queries


class QueryBatch(RootModel[dict[str, Any]]):
    """Queries that are not looked at yet."""


def _query(value: Any) -> ReconciliationQuery | str:
    try:
        return validated(ReconciliationQuery, value)
    except ApiError as refusal:
        return str(refusal.detail)


def mention_of(query: ReconciliationQuery) -> Mention:
    """The query as a mention in its context; without a place in it where it does not occur there."""
    said = [each for each in query.properties if each.pid != IMAGE]
    said.sort(key=lambda each: each.pid != CONTEXT)  # the sentence first: encoders cut off the end
    context = " ".join(text for each in said for text in each.texts)
    text, surface = context or query.surface, query.surface
    start = text.find(surface) if surface else -1
    span = {"start": start, "end": start + len(surface)} if start >= 0 else {}
    return Mention(id="query", text=text, surface=surface, **span)


def pictures_of(query: ReconciliationQuery) -> list[str]:
    """The pictures among the properties."""
    return [text for each in query.properties if each.pid == IMAGE for text in each.texts]


def _text(value: bool | float | str | Reference) -> str:
    if isinstance(value, Reference):
        return value.name or value.id
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)
