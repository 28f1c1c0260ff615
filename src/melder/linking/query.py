"""A mention from what a person types: a text and the span meant."""

from __future__ import annotations

from melder.records import MelderError, Mention

__all__ = ["to_mention"]


def to_mention(text: str, surface: str | None = None, identity: str = "query") -> Mention:
    """The first occurrence of `surface` in `text`, the whole text when no surface is given.

    Raises `MelderError` when the surface is empty or does not occur.
    """
    span = text if surface is None else surface
    if not span.strip():
        raise MelderError("the mention is empty: give the words that are to be linked")
    start = text.find(span)
    if start < 0:
        raise MelderError(f"the mention {span!r} does not occur in the text {text!r}: copy it letter by letter")
    return Mention(id=identity, text=text, start=start, end=start + len(span), surface=span)
