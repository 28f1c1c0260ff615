"""TEI P5: texts as they are, mentions in them as `<rs ref="…">`, a text an `<ab>`.

Where mentions overlap without one lying within the other, XML can only have pieces: they point to each other by `next`
and `prev`. `n` is the id of a mention; what is none of the entities has no `ref`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import TextIO
from xml.sax.saxutils import escape, quoteattr

from melder.export.addresses import address_of, answer_of
from melder.export.annotated_text import AnnotatedText, LinkedMention, annotated_texts

__all__ = ["TeiWriter"]

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<TEI xmlns="http://www.tei-c.org/ns/1.0">
<teiHeader><fileDesc>
<titleStmt><title>Texts with linked mentions</title></titleStmt>
<publicationStmt><p>Written by Melder.</p></publicationStmt>
<sourceDesc><p>The texts are those that Melder was given.</p></sourceDesc>
</fileDesc></teiHeader>
<text><body>
"""
TAIL = "</body></text>\n</TEI>\n"
NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # characters that XML 1.0 cannot hold


@dataclass(frozen=True)
class _Piece:
    """Code points of a mention that lie within one element; of several pieces `following` and `earlier` say so."""

    start: int
    end: int
    mention: int
    number: int = 0
    earlier: bool = False
    following: bool = False


class TeiWriter:
    """A TEI file that is being written.

    Args:
        file: in text
        entities: what stands before an entity's id
    """

    def __init__(self, file: TextIO, entities: str) -> None:
        self._file, self._entities, self._texts = file, entities, 0
        file.write(HEAD)

    def write(self, linked: Iterable[LinkedMention]) -> None:
        """Add texts with their mentions."""
        for text in annotated_texts(linked):
            self._texts += 1
            language = "" if text.language is None else f" xml:lang={quoteattr(text.language)}"
            self._file.write(f'<ab xml:space="preserve"{language}>{self._marked(text)}</ab>\n')

    def finish(self) -> None:
        """Close the document."""
        self._file.write(TAIL)

    def _marked(self, text: AnnotatedText) -> str:
        written, place, open_until = list[str](), 0, list[int]()
        for piece in _pieces(text):
            while open_until and open_until[-1] <= piece.start:
                place = _close(written, text.text, place, open_until)
            written += [_escaped(text.text[place : piece.start]), self._opening(text, piece)]
            place = piece.start
            open_until.append(piece.end)
        while open_until:
            place = _close(written, text.text, place, open_until)
        return "".join([*written, _escaped(text.text[place:])])

    def _opening(self, text: AnnotatedText, piece: _Piece) -> str:
        link = text.spans[piece.mention].link
        answer = answer_of(link)
        attributes = {"n": NO_XML.sub("\ufffd", link.id)}
        if answer is not None:
            attributes["ref"] = NO_XML.sub("\ufffd", address_of(answer, self._entities))
        name = f"m{self._texts}.{piece.mention}"
        if piece.earlier or piece.following:
            attributes["xml:id"] = f"{name}.{piece.number}"
        if piece.earlier:
            attributes["prev"] = f"#{name}.{piece.number - 1}"
        if piece.following:
            attributes["next"] = f"#{name}.{piece.number + 1}"
        return f"<rs {' '.join(f'{key}={quoteattr(value)}' for key, value in attributes.items())}>"


def _close(written: list[str], text: str, place: int, open_until: list[int]) -> int:
    """Close the innermost element, and say where that is."""
    end = open_until.pop()
    written += [_escaped(text[place:end]), "</rs>"]
    return end


def _pieces(text: AnnotatedText) -> list[_Piece]:
    """The mentions as pieces each of which lies within or outside every other, in the order of their starts."""
    waiting = [_ordered(_Piece(start, end, mention)) for mention, (start, end, _) in enumerate(text.spans)]
    heapify(waiting)
    pieces, open_until = list[_Piece](), list[int]()
    while waiting:
        *_, piece = heappop(waiting)
        while open_until and open_until[-1] <= piece.start:
            open_until.pop()
        if open_until and open_until[-1] < piece.end:  # it begins in another and ends behind that
            boundary = open_until[-1]
            heappush(waiting, _ordered(replace(piece, start=boundary, number=piece.number + 1, earlier=True)))
            piece = replace(piece, end=boundary, following=True)
        pieces.append(piece)
        open_until.append(piece.end)
    return pieces


def _ordered(piece: _Piece) -> tuple[int, int, int, _Piece]:
    """Where it starts, longer ones first, and in the order in which mentions were given."""
    return piece.start, -piece.end, piece.mention, piece


def _escaped(text: str) -> str:
    return escape(NO_XML.sub("\ufffd", text), {"\r": "&#13;"})
