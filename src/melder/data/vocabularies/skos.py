"""Thesauri in SKOS, in any syntax that rdflib reads: `pip install 'melder[vocabularies]'`. The whole graph is held."""

from __future__ import annotations

import codecs
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from melder.data.picture_names import file_of
from melder.data.tables.options import Notes
from melder.data.vocabularies.imported import Imported, opened
from melder.data.vocabularies.xml_entities import check_xml_entities
from melder.io.json_text import check_text
from melder.languages import Languages
from melder.records import Entity, MelderError

__all__ = ["skos_entities"]

SYNTAXES = {
    ".ttl": "turtle",
    ".rdf": "xml",
    ".xml": "xml",
    ".owl": "xml",
    ".nt": "nt",
    ".n3": "n3",
    ".jsonld": "json-ld",
    ".json": "json-ld",
    ".trig": "trig",
    ".nq": "nquads",
}
SKOS = "http://www.w3.org/2004/02/skos/core#"
SKOS_XL = "http://www.w3.org/2008/05/skos-xl#"
BLANK = "{} [concept|concepts] without an address, which would have another id each time, [is|are] left out"
DEPRECATED = "{} deprecated [concept|concepts] [is|are] left out"
OTHERS = ("ConceptScheme", "Collection", "OrderedCollection")  # which have preferred labels too
DEPICTIONS = ("http://xmlns.com/foaf/0.1/depiction", "https://schema.org/image", "http://schema.org/image")


def skos_entities(path: Path, languages: Languages, notes: Notes) -> Iterator[Imported]:
    """The concepts of a thesaurus in the order of their addresses; their broader concepts' names are their types.

    Args:
        path: Of the file.
        languages: That labels are taken of.
        notes: Told what a user should know.

    Yields:
        Entities.

    Raises:
        MelderError: Rdflib is missing, the file is in no syntax that it reads, or holds no concept.
    """
    thesaurus = _Thesaurus(_graph(path), languages)
    concepts = thesaurus.concepts()
    if not concepts:
        raise MelderError(f"{path}: holds no concept of SKOS; name a thesaurus, or try another importer")
    for concept in concepts:
        if note := thesaurus.reason_to_leave_out(concept):
            notes.add(note)
            continue
        try:
            imported = thesaurus.imported(concept)
        except ValueError:
            notes.add("{} [concept|concepts] with half of a surrogate pair in a text [is|are] left out")
            continue
        if imported is None:
            notes.add("{} [concept|concepts] without a preferred label in these languages [is|are] left out")
        else:
            yield imported


class _Thesaurus:
    def __init__(self, graph: Any, languages: Languages) -> None:
        import rdflib

        self._graph, self._languages = graph, languages
        self._skos, self._labels = rdflib.Namespace(SKOS), rdflib.Namespace(SKOS_XL)
        self._type, self._depictions = rdflib.RDF.type, [rdflib.URIRef(name) for name in DEPICTIONS]
        self._rdflib = rdflib

    def concepts(self) -> list[Any]:
        """Those that are said to be, and what else has a preferred label but schemes and collections."""
        typed = {*self._graph.subjects(self._type, self._skos.Concept)}
        labelled = {*self._graph.subjects(self._skos.prefLabel, None)}
        for kind in OTHERS:
            labelled.difference_update(self._graph.subjects(self._type, self._skos[kind]))
        return sorted(typed | labelled)

    def reason_to_leave_out(self, concept: Any) -> str | None:
        """A note on a concept that is to be left out."""
        if isinstance(concept, self._rdflib.BNode):
            return BLANK
        marks = self._objects(concept, self._rdflib.OWL.deprecated)
        return DEPRECATED if any(str(mark).lower() in ("true", "1") for mark in marks) else None

    def imported(self, concept: Any) -> Imported | None:
        names = self._names(concept)
        name = self._first(names)
        if not name:
            return None
        others = {kind: self._texts(concept, kind) for kind in ("altLabel", "hiddenLabel")}
        every = [text for texts in (names, *others.values()) for text in self._languages.every(texts)]
        definitions, notes = self._texts(concept, "definition"), self._texts(concept, "scopeNote")
        descriptions = {code: lines[0] for code, lines in {**notes, **definitions}.items()}
        wider = {*self._objects(concept, self._skos.broader), *self._graph.subjects(self._skos.narrower, concept)}
        broader = (self._first(self._names(other)) for other in sorted(wider - {concept}))
        addresses = [str(file) for depiction in self._depictions for file in self._objects(concept, depiction)]
        addresses = [check_text(address) for address in dict.fromkeys(addresses) if file_of(address)]
        entity = Entity(
            id=check_text(str(concept)),
            name=name,
            aliases=tuple(dict.fromkeys(text for text in every if text != name)),
            description=self._first(definitions) or self._first(notes),
            types=tuple(dict.fromkeys(filter(None, broader))),
            images=tuple(map(file_of, addresses)),
            labels=self._languages.only({code: lines[0] for code, lines in names.items()}),
            descriptions=self._languages.only(descriptions),
        )
        return Imported(entity, tuple(addresses))

    def _names(self, concept: Any) -> dict[str, list[str]]:
        """Its preferred labels by language; those of RDFS where there are none."""
        return self._texts(concept, "prefLabel") or self._by_language(self._objects(concept, self._rdflib.RDFS.label))

    def _texts(self, concept: Any, kind: str) -> dict[str, list[str]]:
        """The labels or notes of a kind by language, those of SKOS-XL among them."""
        nodes = self._objects(concept, self._skos[kind])
        for label in self._objects(concept, self._labels[kind]):
            nodes += self._objects(label, self._labels.literalForm)
        return self._by_language(nodes)

    def _by_language(self, nodes: list[Any]) -> dict[str, list[str]]:
        """Texts by language; a note that is a resource of its own has them as its value."""
        texts: dict[str, list[str]] = {}
        for node in nodes:
            for literal in self._literals(node):
                code = (getattr(literal, "language", None) or "").lower()
                texts.setdefault(code, []).append(check_text(" ".join(str(literal).split())))
        return texts

    def _literals(self, node: Any) -> list[Any]:
        return [node] if isinstance(node, self._rdflib.Literal) else self._objects(node, self._rdflib.RDF.value)

    def _objects(self, subject: Any, predicate: Any) -> list[Any]:
        return sorted(self._graph.objects(subject, predicate))

    def _first(self, texts: dict[str, list[str]]) -> str:
        return self._languages.first({code: lines[0] for code, lines in texts.items()})


def _graph(path: Path) -> Any:
    try:
        import rdflib
    except ImportError:
        raise MelderError("SKOS needs its package: pip install 'melder[vocabularies]'") from None
    suffixes = [suffix.lower() for suffix in path.suffixes]
    syntax = next((SYNTAXES[suffix] for suffix in reversed(suffixes) if suffix in SYNTAXES), None)
    if syntax is None:
        raise MelderError(f"{path}: is none of {', '.join(SYNTAXES)}; give it the ending of its syntax")
    with opened(path) as file:
        data = file.read().removeprefix(codecs.BOM_UTF8)
    if syntax == "json-ld":
        _check_contexts(path, data)
    if syntax == "xml":
        check_xml_entities(path, data)
    graph = rdflib.Dataset(default_union=True) if syntax in ("trig", "nquads") else rdflib.Graph()
    try:
        with _unlogged():
            graph.parse(data=data, format=syntax, publicID=path.absolute().as_uri())
    except Exception as error:  # each of rdflib's parsers has errors of its own
        reason = " ".join(str(error).split())[:200]
        raise MelderError(f"{path}: is not read as {syntax} ({reason}); mend it, or give it another ending") from None
    return graph


@contextmanager
def _unlogged() -> Iterator[None]:
    """Without a line of rdflib's for every address that could not be written again: none is written."""
    logger = logging.getLogger("rdflib.term")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _check_contexts(path: Path, data: bytes) -> None:
    """Raises MelderError where rdflib would fetch a context from the web."""
    try:
        stack = [json.loads(data.decode("utf-8-sig"))]
    except (ValueError, RecursionError) as error:
        raise MelderError(f"{path}: is not JSON ({error}); mend it") from None
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack += value
        elif isinstance(value, dict):
            stack += value.values()
            contexts = value.get("@context", [])
            if address := next((text for text in _listed(contexts) if isinstance(text, str)), None):
                raise MelderError(
                    f"{path}: has its @context at {address}, and nothing is fetched; write it into the file"
                )
            for context in _listed(contexts):
                if isinstance(context, dict) and "@import" in context:
                    raise MelderError(f"{path}: imports a context, and nothing is fetched; write it into the file")


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
