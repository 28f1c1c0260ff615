"""Mentions as people write them: a text, a pair of a text and a mention, a dictionary, a record, a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from pydantic import ValidationError

from melder.data.picture_inputs import pictures_of
from melder.io.problems import first_fault
from melder.records import MelderError, Mention, Picture

__all__ = ["MentionInput", "is_single", "read_mention", "read_mentions", "to_mention"]

FORMS = "a text, (text, mention), (text, mention, image), {'text': …, 'mention': …} or a Mention"
FIELDS = ("text", "mention", "surface", "start", "end", "image", "id", "answer", "language")
KEPT = ("answer", "language")  # by the record, which checks them


@dataclass(frozen=True)
class MentionInput:
    """A mention that was given to be linked.

    Args:
        mention: With its text.
        images: From anywhere.
        in_data: The record names pictures within the data set instead.
    """

    mention: Mention
    images: tuple[Picture, ...] = ()
    in_data: bool = False


def is_single(value: Any) -> bool:
    """Whether something is one mention; lists, tables and what else can be gone through are several.

    Args:
        value: That was given.

    Returns:
        Whether it is one.
    """
    return isinstance(value, (str, tuple, Mapping, Mention))


def read_mentions(values: Any) -> list[MentionInput]:
    """The mentions of a list, of anything that can be gone through, or of the rows of a pandas or polars table.

    Args:
        values: In any of these forms.

    Returns:
        In their order.

    Raises:
        MelderError: It is nothing of the kind, or one of them is wrong; the message counts from 1.
    """
    return [_numbered(value, number) for number, value in enumerate(_rows(values), start=1)]


def read_mention(value: Any, identity: str = "query") -> MentionInput:
    """One mention, in any of the forms.

    Args:
        value: In any of the forms that the module's description names.
        identity: The id of a mention that has none.

    Returns:
        The mention.

    Raises:
        MelderError: It has none of the forms, the mention does not occur in the text, there is no such picture.
    """
    if isinstance(value, Mention):
        return MentionInput(value, in_data=True)
    if isinstance(value, str):
        return MentionInput(to_mention(value, identity=identity))
    if isinstance(value, tuple) and 1 <= len(value) <= 3:
        return _of_fields(dict(zip(("text", "mention", "image"), value, strict=False)), identity)
    if isinstance(value, Mapping):
        return _of_fields(value, identity)
    raise MelderError(f"a mention cannot be of the type {type(value).__name__}: give {FORMS}")


def to_mention(
    text: str, surface: str | None = None, identity: str = "query", start: int | None = None, end: int | None = None
) -> Mention:
    """The mention from `start` to `end`, or the first occurrence of `surface`, else the whole text.

    Args:
        text: It is in.
        surface: Its words; None = as start and end say.
        identity: Of the mention.
        start: In code points; without `end` the surface begins there.
        end: The first code point behind it.

    Returns:
        The mention.

    Raises:
        MelderError: The surface is empty or does not stand there.
    """
    if start is not None or end is not None:
        return _at(text, surface, identity, start, end)
    span = text if surface is None else surface
    if not span.strip():
        raise MelderError("the mention is empty: give the words that are to be linked")
    start = text.find(span)
    if start < 0:
        raise MelderError(f"the mention {span!r} does not occur in the text {text!r}: copy it letter by letter")
    return Mention(id=identity, text=text, start=start, end=start + len(span), surface=span)


def _at(text: str, surface: str | None, identity: str, start: int | None, end: int | None) -> Mention:
    first = 0 if start is None else start
    last = end if end is not None else len(text) if surface is None else first + len(surface)
    if not 0 <= first < last <= len(text):
        raise MelderError(f"start {start}, end {end}: lie outside the text of {len(text)} characters")
    if surface is not None and text[first:last] != surface:
        raise MelderError(f"start {start}, end {end}: there stands {text[first:last]!r}, not the mention {surface!r}")
    return Mention(id=identity, text=text, start=first, end=last, surface=text[first:last])


def _of_fields(fields: Mapping[str, Any], identity: str) -> MentionInput:
    unknown = [str(name) for name in fields if name not in FIELDS]
    if unknown:
        raise MelderError(f"a mention has no field {unknown[0]!r}; there are {', '.join(FIELDS)}")
    told = {name: value for name, value in fields.items() if not _absent(value)}
    text = told.get("text")
    if not isinstance(text, str):
        raise MelderError(f"a mention's text must be a string, not {text!r}")
    surface = told.get("mention", told.get("surface"))
    if surface is not None and not isinstance(surface, str):
        raise MelderError(f"a mention must be a string, not {surface!r}")
    places = [None if told.get(name) is None else _whole(name, told[name]) for name in ("start", "end")]
    mention = to_mention(text, surface, str(told.get("id", identity)), *places)
    kept = {name: told[name] for name in KEPT if name in told}
    try:
        return MentionInput(Mention(**{**mention.model_dump(), **kept}), pictures_of(told.get("image")))
    except ValidationError as error:
        name, message = first_fault(error, Mention)
        raise MelderError(f"a mention's {name} {message}") from None


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Real) or value != value // 1:
        raise MelderError(f"{name} must be a whole number, not {value!r}")
    number: Any = value
    return int(number)


def _absent(value: Any) -> bool:
    """None, and the NaN or the NA by which tables say so."""
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and value != value)


def _rows(values: Any) -> Iterator[Any]:
    if hasattr(values, "columns") and hasattr(values, "to_dict"):  # pandas
        yield from values.to_dict("records")
    elif hasattr(values, "iter_rows"):  # polars
        yield from values.iter_rows(named=True)
    elif hasattr(values, "__iter__") and not isinstance(values, (bytes, bytearray)):
        yield from values
    else:
        raise MelderError(f"mentions cannot be of the type {type(values).__name__}: give {FORMS}, or a list of such")


def _numbered(value: Any, number: int) -> MentionInput:
    try:
        return read_mention(value, str(number))
    except MelderError as error:
        raise MelderError(f"mention {number}: {error}") from None
