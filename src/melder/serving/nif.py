"""NIF 2.1 (NLP Interchange Format) in Turtle: texts with marked mentions in, the same with entities out.

A text is a resource with `nif:isString`. A mention is a resource with `nif:beginIndex`, `nif:endIndex` (code points,
end excluded) and `nif:referenceContext`; the answer adds `itsrdf:taIdentRef`, the entity, and `itsrdf:taConfidence`
where a NIL probability is known. A mention that is none of the entities has no `taIdentRef`.
https://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core/nif-core.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rdflib import Graph
from rdflib.term import Node

from melder.export.nif import NIF, add_answer, add_phrase, bind_prefixes
from melder.records import Link
from melder.serving.errors import ApiError
from melder.serving.nif_sink import read_turtle
from melder.serving.requests import Span

__all__ = ["Annotated", "read_nif", "write_nif"]

NUMBER = re.compile(r"\d{1,9}")  # of a place in a text; Python refuses thousands of digits


@dataclass
class Annotated:
    """A text of a document, its mentions, in the order of their places, and where each is in the document."""

    context: Node
    text: str
    spans: list[Span] = field(default_factory=list)
    resources: list[Node] = field(default_factory=list)


def read_nif(content: bytes, triples: int) -> tuple[Graph, list[Annotated]]:
    """The NIF of a document, and the texts in it.

    Raises:
        ApiError: (400, 422) when it is no Turtle or no NIF, (413) when it has more than so many triples.
    """
    try:
        graph = read_turtle(content, triples)
    except ApiError:
        raise
    except Exception as error:  # the parser's errors are of many kinds, some of Python's own
        raise ApiError(400, f"the document is not Turtle ({_first_line(error)}); send text/turtle in UTF-8") from None
    texts = [_annotated(graph, context) for context in sorted(set(graph.subjects(NIF.isString)))]
    if not texts:
        raise ApiError(422, "the document has no text: give a resource with nif:isString")
    return graph, texts


def write_nif(graph: Graph, texts: Sequence[Annotated], links: Sequence[Sequence[Link]], entities: str) -> bytes:
    """The document with the links of each text; an entity's address is `entities` and its id.

    A link of a mention that was not marked gets a resource, named after its place as RFC 5147 has it.
    """
    bind_prefixes(graph)
    for text, found in zip(texts, links, strict=True):
        for number, link in enumerate(found):
            phrase = text.resources[number] if text.resources else add_phrase(graph, text.context, link)
            add_answer(graph, phrase, link, entities)
    written: bytes = graph.serialize(format="turtle", encoding="utf-8")
    return written


def _annotated(graph: Graph, context: Node) -> Annotated:
    found = Annotated(context, str(graph.value(context, NIF.isString)))
    marked = {each for each in graph.subjects(NIF.referenceContext, context) if each != context}
    for (start, end), resource in sorted(_places(graph, marked)):
        found.spans.append(Span(start=start, end=end))
        found.resources.append(resource)
    return found


def _places(graph: Graph, resources: set[Node]) -> Iterator[tuple[tuple[int, int], Node]]:
    for each in resources:
        place = [graph.value(each, name) for name in (NIF.beginIndex, NIF.endIndex)]
        start, end = (int(str(value)) if NUMBER.fullmatch(str(value)) else -1 for value in place)
        if not 0 <= start < end:
            raise ApiError(422, f"{each}: nif:beginIndex and nif:endIndex must be numbers, the end behind the start")
        yield (start, end), each


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
