"""The words around a mention: what is read of a text that is longer than an encoder reads.

The beginning of a long text may say nothing of a mention that stands at its end. A window is as many tokens as there
is room for, half of them before the mention and half after it; where the text begins or ends there, the other side gets
the rest. It begins at a sentence where one begins in the first half of what stands before the mention, else at a word,
and ends at a word. The surface and the separator before the text are always read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from melder.encoders.tokens import Tokens
from melder.records import Item

__all__ = ["TextRead", "read_text_of"]

LEAST = 4  # tokens; with less room than that beside the surface, a window shows nothing
REACH = 16  # characters on each side for every token that is read: more than tokens of any text have on average
WORD = 24  # characters; text without a space in so many has none between its words (Chinese, Japanese, Thai)
SENTENCE = re.compile(r"[.!?]+[\"'”’)\]]*\s+|[。！？]+[」』”’）]*\s*|\n+")


@dataclass(frozen=True)
class TextRead:
    """What an encoder is given of an item.

    Args:
        text: prompt first
        span: first code point of the mention in `text`, and the one behind it; None where it does not stand there
    """

    text: str
    span: tuple[int, int] | None = None


@dataclass(frozen=True)
class _Place:
    """Where the mention stands in a text, and how much of the text's beginning is always read, in code points."""

    start: int
    end: int
    lead: int


def read_text_of(item: Item, tokens: Tokens, *, around: bool) -> TextRead:
    """What is read of an item's text.

    Args:
        item: with `span` and `lead` where it is of a mention
        tokens: the tokenizer, its length and its prompts
        around: read the words around the mention; False reads the beginning, whatever does not fit being cut off

    Returns:
        the text, not longer than it was, save for the prompt
    """
    if not item.text.strip():
        return TextRead(item.text)
    prompt = tokens.prompts.get(item.role or "", "")
    text = prompt + item.text
    if item.span is None:
        return TextRead(text)
    place = _Place(item.span[0] + len(prompt), item.span[1] + len(prompt), item.lead + len(prompt))
    window = _window(text, place, tokens) if around else None
    if window is None:
        return TextRead(text, (place.start, place.end))
    first, last = window
    moved = first - place.lead
    return TextRead(text[: place.lead] + text[first:last], (place.start - moved, min(place.end, last) - moved))


def _window(text: str, place: _Place, tokens: Tokens) -> tuple[int, int] | None:
    """Where the window begins and ends; None where that is the beginning, or there is room for nothing else."""
    if len(text.encode(errors="replace")) + LEAST <= tokens.length:  # no tokenizer makes more of a text than its bytes
        return None
    low = max(place.lead, place.start - REACH * tokens.length)
    reach = min(place.end, place.start + REACH * tokens.length) + REACH * tokens.length
    high = min(len(text), reach)
    if (low, high) == (place.lead, len(text)) and tokens.count(text) <= tokens.length:
        return None
    room = tokens.length - tokens.count(text[: place.lead])
    pieces = [(low + start, low + end) for start, end in tokens.pieces(text[low:high])]
    if room < LEAST or len(pieces) <= room:
        return None
    first, last = _centred(pieces, place, room)
    begin = _begin(text, pieces[first][0], place)
    if begin <= place.lead:  # the mention stands near the beginning, which is what the tokenizer keeps
        return None
    gained = sum(start < begin for start, _ in pieces[first:last])
    return begin, _finish(text, pieces[min(last + gained, len(pieces)) - 1][1], place)


def _centred(pieces: list[tuple[int, int]], place: _Place, room: int) -> tuple[int, int]:
    """The first piece of the window, and the one after its last."""
    before = sum(end <= place.start for _, end in pieces)
    mention = max(1, sum(start < place.end for start, _ in pieces) - before)
    first = before - max(0, room - mention) // 2
    first = max(0, min(first, len(pieces) - room))
    return first, first + room


def _begin(text: str, begin: int, place: _Place) -> int:
    """At the next sentence, if it begins in the first half of what stands before the mention, else at the next word."""
    if begin > place.lead:
        half = begin + (place.start - begin) // 2
        sentence = SENTENCE.search(text, max(place.lead, begin - 1), half)
        if sentence is not None:
            return sentence.end()
        if not (text[begin].isspace() or text[begin - 1].isspace()):
            word = re.compile(r"\s").search(text, begin, min(begin + WORD, place.start))
            begin = begin if word is None else word.end()
    while begin < place.start and text[begin].isspace():
        begin += 1
    return begin


def _finish(text: str, finish: int, place: _Place) -> int:
    """At the end of the last whole word."""
    if finish < len(text) and not (text[finish].isspace() or text[finish - 1].isspace()):
        low = max(place.end, finish - WORD)
        spaces = [match.start() for match in re.finditer(r"\s", text[low:finish])]
        finish = low + spaces[-1] if spaces else finish
    return len(text[:finish].rstrip()) if finish > place.end else finish
