"""What readers of published files share: field types, and where a surface stands in its text."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["Identifier", "Name", "RawRecord", "Text", "is_nil", "span"]


class RawRecord(BaseModel):
    """A record as published. Fields that nobody reads are passed over: copies of the data differ in them."""

    model_config = ConfigDict(strict=True)


def _encodable(text: str) -> str:
    # A byte that was not UTF-8, and half of a surrogate pair, both arrive here as a lone surrogate.
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("is not UTF-8 (or holds half of a surrogate pair); save the file as UTF-8") from None
    return text


def _number_as_text(value: Any) -> Any:
    return str(value) if type(value) is int else value


Text = Annotated[str, AfterValidator(_encodable)]
Name = Annotated[str, Field(min_length=1), AfterValidator(_encodable)]
Identifier = Annotated[Name, BeforeValidator(_number_as_text)]


def span(text: str, surface: str) -> tuple[int, int] | tuple[None, None]:
    """The first occurrence of a surface in a text.

    Args:
        text: To look in.
        surface: To look for.

    Returns:
        The code point where it begins and the one behind it; a pair of None when there is none.
    """
    start = text.find(surface) if surface else -1
    return (start, start + len(surface)) if start >= 0 else (None, None)


def is_nil(answer: str | None) -> bool:
    """Whether a published answer says "none of these": null, or the word nil in either case.

    Args:
        answer: As a data set has it.

    Returns:
        Whether it does.
    """
    return answer is None or answer.casefold() == "nil"
