"""What POST and PUT /entities take and give."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, FailFast, Field, model_validator

from melder.records import LanguageTag

__all__ = ["Changed", "EntityChange", "EntityChanges"]


EXAMPLE: dict[str, Any] = {"id": "ML", "name": "Mali", "description": "A country in Africa.", "types": ["country"]}


class EntityChange(BaseModel):
    """An entity as in JSON Lines, except that its pictures are in base64: a service reads no files for its clients."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [EXAMPLE]})

    id: str = Field(min_length=1)
    name: str = ""
    aliases: Annotated[tuple[str, ...], FailFast()] = ()
    description: str = ""
    types: Annotated[tuple[str, ...], FailFast()] = ()
    images: Annotated[tuple[str, ...], FailFast()] = Field((), description="base64 or data URIs")
    labels: dict[LanguageTag, str] = Field({}, description="names by language, such as de")
    descriptions: dict[LanguageTag, str] = Field({}, description="descriptions by language, such as de")

    @model_validator(mode="after")
    def _says_something(self) -> EntityChange:
        if not self.name.strip() and not self.description.strip():
            raise ValueError("name is empty and so is description; fill in one of them")
        return self


def _or_one_alone(schema: dict[str, Any], kind: type[BaseModel]) -> None:
    """An entity may stand in the place of the list: what the validator below allows, for OpenAPI."""
    whole = {key: schema.pop(key) for key in ("type", "properties", "required", "additionalProperties")}
    schema["anyOf"] = [whole, {"$ref": "#/components/schemas/EntityChange"}]
    schema["examples"] = [{"entities": [EXAMPLE]}]


class EntityChanges(BaseModel):
    """Some entities; one alone may stand without the list around it."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_or_one_alone)

    entities: Annotated[tuple[EntityChange, ...], FailFast()] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _one_alone(cls, value: Any) -> Any:
        return {"entities": [value]} if isinstance(value, dict) and "id" in value else value


class Changed(BaseModel):
    """The generation that has the change, which is served already, and how many entities it has."""

    generation: str
    entities: int
