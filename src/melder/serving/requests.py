"""What /link and /link/batch take and give, with the examples that the API's description shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import MaxLen
from pydantic import (
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_serializer,
)
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import Self

from melder.io.problems import first_fault
from melder.linking.evidence import Explanation
from melder.records import LanguageTag, Link
from melder.serving.entity_summary import EntitySummary
from melder.serving.errors import ApiError, validated
from melder.serving.forms import FormValue
from melder.serving.limits.json_bounds import check_json
from melder.serving.settings import ServiceSettings

__all__ = [
    "OR_FORM",
    "BatchAnswer",
    "BatchRequest",
    "ExplainAnswer",
    "ExplainRequest",
    "LinkAnswer",
    "LinkRequest",
    "Links",
    "Span",
]

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
MENTIONS = '[{"start": 0, "end": 6}]'
TYPES = '["country"]'
PICTURES = 100  # in a list of them: more than any model compares, and few enough to say what is wrong with each
INSIDE = {"mentions": MENTIONS, "types": TYPES, "k": "a number"}  # fields of a form that are JSON
# What a form may hold in the place of JSON, which is what FastAPI describes.
FORM: dict[str, Any] = {
    "type": "object",
    "required": ["text"],
    "properties": {
        "text": {"type": "string"},
        "mentions": {"type": "string", "description": f"JSON, such as {MENTIONS}; left out: find them"},
        "image": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": "a part for each picture, all of this name",
        },
        "k": {"type": "integer", "minimum": 1, "default": 10},
        "language": {"type": "string", "description": "of the text, such as de"},
        "types": {"type": "string", "description": f"JSON, such as {TYPES}; left out: of every type"},
    },
}
OR_FORM: dict[str, Any] = {"requestBody": {"content": {"multipart/form-data": {"schema": FORM}}}}
IDENTITY: dict[str, Any] = {"generation": "000007", "model": "m3el-3f9a12cd07b4"}


Picture = str | SkipJsonSchema[bytes]  # bytes come in forms alone


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Span(_Part):
    """Where a mention is: code points from `start` up to, not including, `end`."""

    start: int = Field(ge=0, strict=True)
    end: int = Field(ge=0, strict=True)


class LinkRequest(_Part):
    """A text, the mentions in it, and perhaps a picture that goes with them.

    Without mentions, those places are linked that name an entity of the knowledge base.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    several: ClassVar[tuple[str, ...]] = ("image",)

    text: str
    mentions: Annotated[tuple[Span, ...], FailFast()] = Field(
        (), description="none: find names of entities in the text"
    )
    image: str | SkipJsonSchema[bytes] | Annotated[tuple[Picture, ...], MaxLen(PICTURES)] | None = Field(
        None,
        description="base64 or a data URI; an http address or a file's name where the service allows it; or a list of "
        "such pictures",
    )
    k: int = Field(10, ge=1, strict=True, description="candidates a mention")
    types: Annotated[tuple[str, ...], FailFast()] = Field(
        (), max_length=100, description="none: entities of every type; else of any of these"
    )

    language: LanguageTag | None = Field(
        None, description="of the text, such as de: entities are called by their names in it where they have some"
    )

    @property
    def images(self) -> tuple[str | bytes, ...]:
        """All its pictures."""
        return (self.image,) if isinstance(self.image, (str, bytes)) else self.image or ()

    @classmethod
    def of_form(cls, fields: Mapping[str, FormValue], settings: ServiceSettings) -> Self:
        """A request from a form, whose pictures are files or texts.

        Raises:
            ApiError: (413, 422).
        """
        values = {name: _form_value(name, value, settings) for name, value in fields.items()}
        return validated(cls, values)


class ExplainRequest(LinkRequest):
    """A text with the one mention whose link is to be explained."""

    mentions: Annotated[tuple[Span, ...], FailFast()] = Field(min_length=1, max_length=1)


def _or_fault(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """The request or, where it is none, one sentence about it: the others of its batch are answered."""
    try:
        return handler(value)
    except ValidationError as error:
        name, message = first_fault(error, LinkRequest)
        return f"field '{name}': {message}" if name else f"the request {message}"


if TYPE_CHECKING:
    RequestOrFault = LinkRequest | str
else:
    RequestOrFault = Annotated[LinkRequest, WrapValidator(_or_fault)]


class BatchRequest(_Part):
    """Some texts."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"requests": [EXAMPLE, EXAMPLE | {"k": 1}]}]})

    requests: tuple[RequestOrFault, ...] = Field(min_length=1)


class _PerhapsDescribed(_Part):
    """An answer that describes its candidates to a client that wants that."""

    entities: dict[str, EntitySummary] | None = Field(None, description="candidates by id, with ?entities=true")

    @model_serializer(mode="wrap")
    def _without_what_nobody_wants(self, handler: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        return {name: content for name, content in handler(self).items() if content is not None or name != "entities"}


class LinkAnswer(_PerhapsDescribed):
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


class BatchAnswer(_PerhapsDescribed):
    model_config = ConfigDict(json_schema_extra={"examples": [IDENTITY | {"results": [{"links": [LINK]}]}]})

    generation: str
    model: str
    results: tuple[Links, ...]


def _form_value(name: str, value: FormValue, settings: ServiceSettings) -> Any:
    if isinstance(value, tuple):
        return tuple(picture for picture in value if picture)  # a file field that was left alone is empty
    if isinstance(value, bytes):
        if name != "image":
            raise ApiError(422, f"field '{name}': is a file; a picture is a field named image")
        return value or None
    if name not in INSIDE:
        return value
    check_json(value.encode(errors="surrogatepass"), settings)
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ApiError(422, f"field '{name}': is not JSON; write {INSIDE[name]}") from None
