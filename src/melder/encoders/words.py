"""The words of a text, each with the tokens that a tokenizer cut it into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from unicodedata import east_asian_width

from melder.encoders.tokens import Tokens

__all__ = ["Word", "words_of"]


@dataclass(frozen=True)
class Word:
    """A word of a text, and where its tokens are.

    Args:
        start, end: `text[start:end]`, in code points
        tokens: their positions among all that are read of the text
    """

    start: int
    end: int
    tokens: tuple[int, ...]


def words_of(text: str, tokens: Tokens) -> list[Word] | None:
    """The words of as much of a text as is read, in order; None where the tokenizer does not say where tokens lie.

    What a tokenizer adds to a text (its marks for beginning and end, padding) is part of no word.

    Args:
        text: as the encoder reads it
        tokens: of the text tower

    Returns:
        in their order
    """
    if not tokens.tokenizer.is_fast:
        return None
    return list(_joined(text, tokens)) if text.strip() else []


def _joined(text: str, tokens: Tokens) -> Iterator[Word]:
    """Words out of pieces of the same word that touch; and pieces of one character, as bytes of an emoji are."""
    last: tuple[int | None, Word] | None = None
    for number, piece in _pieces(text, tokens):
        if last is not None and _continues(text, last, number, piece):
            before = last[1]
            piece = replace(before, end=max(before.end, piece.end), tokens=before.tokens + piece.tokens)
        elif last is not None:
            yield last[1]
        last = number, piece
    if last is not None:
        yield last[1]


def _pieces(text: str, tokens: Tokens) -> Iterator[tuple[int | None, Word]]:
    """The tokens that stand for a part of the text, each with the number of the word that the tokenizer sees in it."""
    options = {"truncation": True, "max_length": tokens.length}
    read = tokens.tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True, **options)
    rows = zip(read["offset_mapping"], read["special_tokens_mask"], read.word_ids(), strict=True)
    for position, ((start, end), added, number) in enumerate(rows):
        while start < end and text[start].isspace():  # some tokenizers count the space before a word to it
            start += 1
        if start < end and not added:
            yield number, Word(start, end, (position,))


def _continues(text: str, last: tuple[int | None, Word], number: int | None, piece: Word) -> bool:
    before = last[1]
    if piece.start < before.end:
        return True
    wide = _is_wide(text[before.end - 1]) and _is_wide(text[piece.start])
    return number == last[0] and piece.start == before.end and not wide


def _is_wide(character: str) -> bool:
    """Chinese and Japanese put no spaces between words: what a tokenizer kept whole comes nearest to one."""
    return east_asian_width(character) in "WF"
