"""`melder kb import skos`"""

from __future__ import annotations

from melder.cli.kb.imports.common import Lang, Out, Pictures, Source, write
from melder.records import languages_of

__all__ = ["skos"]


def skos(source: Source, out: Out, lang: Lang = "en", pictures: Pictures = None) -> None:
    """Concepts of a thesaurus in SKOS: Turtle, RDF/XML, N-Triples, JSON-LD, TriG. Needs the extra vocabularies.

    \b
    melder kb import skos thesaurus.ttl --lang de,en --out concepts.jsonl
    """
    from melder.data.vocabularies.skos import skos_entities

    languages = languages_of(lang)
    write(source, out, pictures, lambda problems, notes: skos_entities(source, languages, notes))
