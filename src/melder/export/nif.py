"""NIF 2.1 (NLP Interchange Format) with ITS 2.0 in Turtle, by rdflib: `pip install 'melder[nif]'`.

A text is a `nif:Context` with `nif:isString`; a mention a `nif:Phrase` at code points, which `itsrdf:taIdentRef` says
the entity of and `itsrdf:taConfidence` how certain that is, where a NIL probability is known.
https://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core/nif-core.html
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TextIO

from rdflib import Graph, Literal, Namespace, URIRef
from rdflib.namespace import DCTERMS, RDF, XSD
from rdflib.term import Node

from melder.export.addresses import address_of, answer_of, text_address
from melder.export.annotated_text import AnnotatedText, LinkedMention, annotated_texts
from melder.records import Link

__all__ = ["ITS", "NIF", "NifWriter", "add_answer", "add_phrase", "bind_prefixes"]

NIF = Namespace("http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#")
ITS = Namespace("http://www.w3.org/2005/11/its/rdf#")
AT_ONCE = 256  # texts of one graph, each of which repeats the prefixes


class NifWriter:
    """A Turtle file of texts with their mentions that is being written.

    Args:
        file: in text
        entities: what stands before an entity's id
    """

    def __init__(self, file: TextIO, entities: str) -> None:
        self._file, self._entities = file, entities

    def write(self, linked: Iterable[LinkedMention]) -> None:
        """Add texts with their mentions."""
        texts = annotated_texts(linked)
        while batch := list(islice(texts, AT_ONCE)):
            graph = Graph()
            bind_prefixes(graph)
            for text in batch:
                _add_text(graph, text, self._entities)
            self._file.write(graph.serialize(format="turtle"))

    def finish(self) -> None:
        """Nothing stands behind the last text."""


def bind_prefixes(graph: Graph) -> None:
    """Name the vocabularies as people know them."""
    graph.bind("nif", NIF)
    graph.bind("itsrdf", ITS)


def add_phrase(graph: Graph, context: Node, link: Link) -> Node:
    """A resource of a mention, named after its place as RFC 5147 has it."""
    base = str(context).partition("#")[0]
    phrase = URIRef(f"{base}#char={link.start},{link.end}")
    for kind in (NIF.Phrase, NIF.String, NIF.RFC5147String):
        graph.add((phrase, RDF.type, kind))
    graph.add((phrase, NIF.referenceContext, context))
    graph.add((phrase, NIF.anchorOf, Literal(link.surface)))
    _add_place(graph, phrase, link.start or 0, link.end or 0)
    return phrase


def add_answer(graph: Graph, phrase: Node, link: Link, entities: str) -> None:
    """The entity of a mention in the place of what was said before; none for NIL."""
    for name in (ITS.taIdentRef, ITS.taConfidence):
        graph.remove((phrase, name, None))
    answer, nil = answer_of(link), link.nil_probability
    if answer is None:
        return
    graph.add((phrase, ITS.taIdentRef, URIRef(address_of(answer, entities))))
    if nil is not None:
        graph.add((phrase, ITS.taConfidence, Literal(round(1 - nil, 4), datatype=XSD.double)))


def _add_text(graph: Graph, text: AnnotatedText, entities: str) -> None:
    context = URIRef(f"{text_address(text.text)}#char=0,{len(text.text)}")
    for kind in (NIF.Context, NIF.String, NIF.RFC5147String):
        graph.add((context, RDF.type, kind))
    graph.add((context, NIF.isString, Literal(text.text)))
    _add_place(graph, context, 0, len(text.text))
    if text.language is not None:
        graph.add((context, DCTERMS.language, Literal(text.language)))
    for start, end, link in text.spans:
        phrase = add_phrase(graph, context, link.model_copy(update={"start": start, "end": end}))
        graph.add((phrase, DCTERMS.identifier, Literal(link.id)))
        add_answer(graph, phrase, link, entities)


def _add_place(graph: Graph, resource: Node, start: int, end: int) -> None:
    for name, place in ((NIF.beginIndex, start), (NIF.endIndex, end)):
        graph.add((resource, name, Literal(place, datatype=XSD.nonNegativeInteger)))
