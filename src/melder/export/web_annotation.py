"""Web Annotations of the W3C in JSON-LD: a collection of one page, whose items are mentions.

A target is a text, by an address that follows from what it says, with a place in code points and the words themselves,
so that whoever has the text finds them. https://www.w3.org/TR/annotation-model/
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TextIO
from urllib.parse import quote

from melder.export.addresses import address_of, answer_of, text_address
from melder.export.annotated_text import AnnotatedText, LinkedMention, Span, annotated_texts

__all__ = ["CONTEXT", "WebAnnotationWriter"]

CONTEXT = "http://www.w3.org/ns/anno.jsonld"
AROUND = 32  # characters before and behind a mention by which it is found again in a text that was changed


class WebAnnotationWriter:
    """A file of annotations that is being written.

    Args:
        file: in text
        entities: what stands before an entity's id
    """

    def __init__(self, file: TextIO, entities: str) -> None:
        self._file, self._entities, self._count = file, entities, 0
        head = {"@context": CONTEXT, "id": "urn:melder:annotations", "type": "AnnotationCollection"}
        page = {"id": "urn:melder:annotations:1", "type": "AnnotationPage", "partOf": "urn:melder:annotations"}
        file.write(f'{_inside(head)}, "first": {{{_inside(page)[1:]}, "startIndex": 0, "items": [')

    def write(self, linked: Iterable[LinkedMention]) -> None:
        """Add an annotation a mention."""
        for text in annotated_texts(linked):
            for span in text.spans:
                self._file.write(",\n" if self._count else "\n")
                self._file.write(json.dumps(_annotation(text, span, self._entities), ensure_ascii=False))
                self._count += 1

    def finish(self) -> None:
        """Close the page and say how many there are."""
        self._file.write(f'\n]}}, "total": {self._count}}}\n')


def _inside(value: dict[str, str]) -> str:
    """An object as JSON that is not closed yet."""
    return json.dumps(value)[:-1]


def _annotation(text: AnnotatedText, span: Span, entities: str) -> dict[str, Any]:
    """What is none of the entities has no body: a mention that is marked only."""
    answer = answer_of(span.link)
    body = {
        "type": "SpecificResource",
        "purpose": "identifying",
        "source": address_of(answer or "", entities),
    }
    source: dict[str, str] = {"id": text_address(text.text), "type": "Text"}
    if text.language is not None:
        source["language"] = text.language
    return {
        "id": f"urn:melder:mention:{quote(span.link.id, safe='')}",
        "type": "Annotation",
        "motivation": "highlighting" if answer is None else "identifying",
        **({} if answer is None else {"body": body}),
        "target": {"source": source, "selector": [_place(span), _words(text.text, span)]},
    }


def _place(span: Span) -> dict[str, Any]:
    return {"type": "TextPositionSelector", "start": span.start, "end": span.end}


def _words(text: str, span: Span) -> dict[str, Any]:
    return {
        "type": "TextQuoteSelector",
        "exact": text[span.start : span.end],
        "prefix": text[max(0, span.start - AROUND) : span.start],
        "suffix": text[span.end : span.end + AROUND],
    }
