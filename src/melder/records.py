"""The records that Melder reads and writes, and the errors that tell a user which record to mend.

Everything is plain data: a `Mention` is a span of text with perhaps a picture, an `Entity` is a row of the
knowledge base, a `Link` is an answer. The formats are JSON Lines, one object a line, with these field names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from melder.errors import BadData, BadRecord, MelderError, counted
from melder.languages import Languages, LanguageTag

__all__ = [
    "PARTIAL",
    "BadData",
    "BadRecord",
    "Candidate",
    "Decided",
    "Entity",
    "Item",
    "LanguageTag",
    "Link",
    "MelderError",
    "Mention",
    "Picture",
    "Ranks",
    "counted",
    "languages_of",
]


Picture = Path | bytes  # where an image file is, or what is in it
PARTIAL = ("partial", "missing")  # fields of a link that are only written where shards gave no answer
REPR = 3  # candidates that the repr of a link lists


def languages_of(text: str) -> Languages:
    """Languages as a user writes them, such as `de,en`.

    Args:
        text: Tags with commas between them.

    Returns:
        The languages in this order.

    Raises:
        MelderError: There is none, or one is no tag of a language.
    """
    try:
        return Languages.parse(text)
    except ValueError as error:
        raise MelderError(f"language {error}") from None


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entity(_Record):
    """A row of a knowledge base.

    `labels` and `descriptions` are its names and descriptions by language, as far as those are known; `name` and
    `description` are those that encoders read.
    """

    id: str = Field(min_length=1)
    name: str = ""
    aliases: tuple[str, ...] = ()
    description: str = ""
    types: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    labels: dict[LanguageTag, str] = {}
    descriptions: dict[LanguageTag, str] = {}

    @model_serializer(mode="wrap")
    def _only_in_languages(self, handler: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        """Without what most entities have not."""
        return {
            name: content
            for name, content in handler(self).items()
            if content or name not in ("labels", "descriptions")
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The name, the aliases and the names in other languages, without empty ones and repetitions."""
        every = (self.name, *self.aliases, *self.labels.values())
        return tuple(dict.fromkeys(name for name in every if name.strip()))

    def name_in(self, languages: Languages) -> str:
        """Its name in the first of some languages that it has one in; its name where it has none in these."""
        return (languages.first(self.labels) if self.labels else "") or self.name

    def in_language(self, languages: Languages) -> Entity:
        """The entity with the name and the description of the first of some languages that has them."""
        name, description = languages.first(self.labels), languages.first(self.descriptions)
        if not name and not description:
            return self
        aliases = self.aliases
        if name and name != self.name and self.name.strip() and self.name not in self.labels.values():
            aliases = (self.name, *aliases)  # so that no name is lost
        shown = {"name": name or self.name, "description": description or self.description, "aliases": aliases}
        return self.model_copy(update=shown)


class Mention(_Record):
    """A span of a text that is to be linked, perhaps with a picture, perhaps with the right answer.

    `start` and `end` are code point offsets, both null when the surface does not occur in the text.
    `image` is the name of its picture, or a list of names where it has several. `answer` is an entity id, or null for
    NIL. `language` is that of the text; candidates are called by their names in it, where they have some.
    """

    id: str = Field(min_length=1)
    text: str = ""
    start: int | None = None
    end: int | None = None
    surface: str = ""
    image: str | tuple[str, ...] | None = None
    answer: str | None = None
    language: LanguageTag | None = None

    @model_serializer(mode="wrap")
    def _perhaps_in_a_language(self, handler: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        """Without what most mentions have not."""
        return {name: content for name, content in handler(self).items() if content or name != "language"}

    @property
    def images(self) -> tuple[str, ...]:
        """The names of all its pictures."""
        if isinstance(self.image, str):
            return (self.image,) if self.image else ()
        return self.image or ()

    def with_images(self, names: Sequence[str]) -> Mention:
        """The same mention with other pictures."""
        return self.model_copy(update={"image": _one_or_several(names)})

    @field_validator("image", mode="before")
    @classmethod
    def _names(cls, value: object) -> str | tuple[str, ...] | None:
        """A list of one name is that name, an empty one is none."""
        if value is None or isinstance(value, str):
            return value
        if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
            raise ValueError("must be the name of a picture, a list of such names, or null")
        return _one_or_several(value)

    @model_validator(mode="after")
    def _span_is_the_surface(self) -> Mention:
        if (self.start is None) != (self.end is None):
            raise ValueError("start and end must both be numbers or both be null")
        if self.start is None or self.end is None:
            return self
        if not 0 <= self.start < self.end <= len(self.text):
            raise ValueError(f"span [{self.start}, {self.end}) lies outside the text of {len(self.text)} characters")
        if self.text[self.start : self.end] != self.surface:
            covered = self.text[self.start : self.end]
            raise ValueError(f"span [{self.start}, {self.end}) covers {covered!r}, not the surface {self.surface!r}")
        return self


def _one_or_several(names: Sequence[str]) -> str | tuple[str, ...] | None:
    distinct = tuple(dict.fromkeys(names))
    return distinct if len(distinct) > 1 else next(iter(distinct), None)


class Candidate(_Record):
    """An entity offered as the answer, with its score and what each unit adds to it."""

    id: str
    name: str
    score: float
    units: dict[str, float] = {}


class Link(_Record):
    """The answer for one mention: candidates, best first. `nil_probability` is null until calibrated, unless a language
    model has looked again, which says it itself.

    `partial`: shards gave no answer in time, those that are `missing`; neither is written of an answer that is whole.
    """

    id: str
    start: int | None
    end: int | None
    surface: str
    nil_probability: float | None = None
    candidates: tuple[Candidate, ...]
    partial: bool = False
    missing: tuple[str, ...] = ()

    @model_serializer(mode="wrap")
    def _without_what_is_whole(self, handler: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        written = handler(self)
        return written if self.partial else {name: written[name] for name in written if name not in PARTIAL}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.surface!r}: {_listed(self.candidates)}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(candidate.name)} <small>{escape(candidate.id)}</small></td>"
            f"<td>{candidate.score:.2f}</td></tr>"
            for candidate in self.candidates
        )
        return (
            f"<table><thead><tr><th>{escape(self.surface)}</th><th>score</th></tr></thead><tbody>{rows}</tbody></table>"
        )


def _listed(candidates: Sequence[Candidate]) -> str:
    first = ", ".join(f"{each.name} ({each.id}) {each.score:.2f}" for each in candidates[:REPR])
    more = f" and {len(candidates) - REPR} more" if len(candidates) > REPR else ""
    return f"{first}{more}" if candidates else "no candidate"


class Decided(Link):
    """A link with a decision: `answer` is the id of the best candidate, null for "none of these" (NIL)."""

    answer: str | None


@dataclass(frozen=True)
class Item:
    """What an encoder reads of a mention or an entity.

    Args:
        text: What is read; empty = no text.
        image: A path, or the bytes of an image file; None = no picture.
        surfaces: A mention's surface; an entity's name and aliases.
        augment: The seed of a random view of the picture; None = the plain view.
        role: Which of an encoder's prompts stands before the text.
        span: Where the mention stands in `text`, code points [start, end); None = nowhere. A text that is too long for
            an encoder is cut around it.
        lead: First characters of the text, surface and separator, that are read in any case.
        further: The pictures behind the first.
    """

    text: str = ""
    image: Picture | None = None
    surfaces: tuple[str, ...] = ()
    augment: int | None = None
    role: Literal["mention", "entity"] | None = None
    span: tuple[int, int] | None = None
    lead: int = 0
    further: tuple[Picture, ...] = ()

    @property
    def images(self) -> tuple[Picture, ...]:
        """All its pictures."""
        return () if self.image is None else (self.image, *self.further)


@dataclass(frozen=True)
class Ranks:
    """Exact ranks of the gold entities, counted from 1, int64 arrays of shape [mentions].

    optimistic = 1 + the number of better scores; pessimistic counts every tied score before the gold entity too
    (as PyKEEN defines them).

    Args:
        optimistic: [mentions], from 1.
        pessimistic: [mentions], never below the optimistic ones.
    """

    optimistic: npt.NDArray[np.int64]
    pessimistic: npt.NDArray[np.int64]

    @property
    def realistic(self) -> npt.NDArray[np.float64]:
        """The mean of both, float64: the expected rank when ties are broken at random."""
        return np.add(self.optimistic, self.pessimistic) / 2.0

    def __len__(self) -> int:
        return len(self.optimistic)
