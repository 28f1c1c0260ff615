"""Texts with the links of their mentions, as formats need them that write a text once and its mentions within it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from melder.records import Link, Mention

__all__ = ["AnnotatedText", "LinkedMention", "Span", "annotated_texts"]


class LinkedMention(NamedTuple):
    """A mention and its link."""

    mention: Mention
    link: Link


class Span(NamedTuple):
    """Code points [start, end) of a text, and what they are linked to."""

    start: int
    end: int
    link: Link


@dataclass(frozen=True)
class AnnotatedText:
    """A text and the mentions in it, in the order in which they were given; `language` is a tag, or unknown."""

    text: str
    spans: Sequence[Span]
    language: str | None = None


def annotated_texts(linked: Iterable[LinkedMention]) -> Iterator[AnnotatedText]:
    """Mentions that follow each other and have the same text, put together.

    A mention that does not stand in its text, or has none, is a text of its own: its surface.
    """
    placed = ((*_placed(mention), link) for mention, link in linked)
    for (text, language), group in groupby(placed, key=lambda each: each[:2]):
        yield AnnotatedText(text, [Span(start, end, link) for _, _, start, end, link in group], language)


def _placed(mention: Mention) -> tuple[str, str | None, int, int]:
    if mention.start is None or mention.end is None:
        return mention.surface, mention.language, 0, len(mention.surface)
    return mention.text, mention.language, mention.start, mention.end
