"""Texts of JSON that are texts: JSON may hold half of a surrogate pair, which no file can be written with."""

from __future__ import annotations

__all__ = ["check_text"]


def check_text(value: object) -> str:
    """The value, which is a text that can be written.

    Raises:
        TypeError: It is no text.
        ValueError: It holds half of a surrogate pair.
    """
    if not isinstance(value, str):
        raise TypeError(f"{ascii(value)[:80]} is no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{ascii(value)[:80]} holds half of a surrogate pair") from None
    return value
