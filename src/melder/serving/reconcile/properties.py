"""The properties of the Reconciliation API: what a query may say of a mention, and what is told of an entity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from melder.records import Entity

__all__ = ["CONTEXT", "IMAGE", "OF_ENTITIES", "OF_QUERIES", "Property"]


@dataclass(frozen=True)
class Property:
    """A property by the name that people see; `values` takes an entity's apart."""

    id: str
    name: str
    description: str
    values: Callable[[Entity], Sequence[str]] = lambda entity: ()


CONTEXT, IMAGE = "context", "image"


def _said(text: str) -> Sequence[str]:
    return (text,) if text.strip() else ()


def _by_id(*properties: Property) -> dict[str, Property]:
    return {each.id: each for each in properties}


OF_QUERIES = _by_id(
    Property(CONTEXT, "context", "the sentence that the name stands in; every other text property is read with it"),
    Property(IMAGE, "picture", "a picture that goes with the name: a data URI, or base64"),
)
OF_ENTITIES = _by_id(
    Property("name", "name", "what the entity is called", lambda entity: _said(entity.name)),
    Property("aliases", "aliases", "other names of the entity", lambda entity: entity.aliases),
    Property("description", "description", "what the entity is", lambda entity: _said(entity.description)),
    Property("types", "types", "kinds that the entity belongs to", lambda entity: entity.types),
)
