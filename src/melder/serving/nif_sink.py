"""What a Turtle document may make of this machine: a parser's sink that keeps NIF only, and counts.

rdflib reads the values of literals (a decimal of twelve characters is one of a hundred million digits) and keeps every
triple; here a literal stays the text that it is, and a triple of another vocabulary is passed over.
"""

from __future__ import annotations

import re
from typing import Any

from rdflib import Graph, Literal, URIRef
from rdflib.namespace import RDF, XSD
from rdflib.plugins.parsers.notation3 import RDFSink, SinkParser

from melder.export.nif import ITS, NIF
from melder.serving.errors import ApiError

__all__ = ["read_turtle"]

LONGEST = 2048  # characters of an address: what browsers and proxies take for certain
INVALID = frozenset(map(chr, range(0x21))) | frozenset('<>"{}|\\^`')  # RDF 1.1 Turtle, IRIREF
NUMBERS = frozenset({XSD.nonNegativeInteger, XSD.integer, XSD.int, XSD.long, XSD.unsignedInt})
DIGITS = 9  # of a place in a text
PLACE = re.compile(rf"[0-9]{{1,{DIGITS}}}")


def read_turtle(content: bytes, triples: int) -> Graph:
    """The NIF of a document; at most so many triples of any kind are read.

    Raises:
        ApiError: (400, 413), or whatever else the parser does where there is no Turtle.
    """
    graph = Graph()
    parser = SinkParser(NifSink(graph, triples), baseURI="urn:nif:", turtle=True)
    parser.startDoc()
    parser.feed(content)
    parser.endDoc()
    return graph


class NifSink(RDFSink):  # type: ignore[misc]
    """Stands between the parser and a graph."""

    def __init__(self, graph: Graph, triples: int) -> None:
        super().__init__(graph)
        self._triples, self._left = triples, triples

    def newSymbol(self, *args: str) -> URIRef:  # noqa: N802
        if len(args[0]) > LONGEST or not INVALID.isdisjoint(args[0]):
            shown = ascii(args[0][:100])
            raise ApiError(400, f"the document has the address {shown}, which is too long or holds what none may")
        return URIRef(_checked(args[0]))

    def newLiteral(self, s: str, dt: URIRef | None = None, lang: str | None = None) -> Literal:  # noqa: N802
        if dt in NUMBERS and PLACE.fullmatch(s):  # of another text rdflib would log, with a traceback, that it is none
            return Literal(_checked(s), datatype=dt, normalize=False)
        return Literal(_checked(s), lang=None if dt else lang, normalize=False)

    def makeStatement(self, quadruple: Any, why: Any = None) -> None:  # noqa: N802
        self._left -= 1
        if self._left < 0:
            raise ApiError(413, f"the document has more than {self._triples:,} triples; send fewer texts together")
        scope, predicate, subject, value = quadruple
        named = str(predicate)
        if predicate == RDF.type or named.startswith((str(NIF), str(ITS))):
            super().makeStatement((scope, predicate, subject, _plain(value)), why)


def _plain(value: Any) -> Any:
    """A bare number as the text of one: the parser has read it, and its digits may be millions."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**DIGITS:
        return Literal(str(value), datatype=XSD.integer, normalize=False)
    return value if isinstance(value, (URIRef, Literal)) or hasattr(value, "n3") else Literal("")


def _checked(text: str) -> str:
    """The text, unless it holds half of a surrogate pair, which no document can be written with."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ApiError(400, "the document holds half of a surrogate pair (\\ud800 to \\udfff); leave it out")
    return text
