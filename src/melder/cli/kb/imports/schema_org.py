"""`melder kb import schema-org`"""

from __future__ import annotations

from melder.cli.kb.imports.common import Lang, Out, Pictures, Source, write
from melder.records import languages_of

__all__ = ["schema_org"]


def schema_org(source: Source, out: Out, lang: Lang = "en", pictures: Pictures = None) -> None:
    """Objects of JSON-LD with the terms of schema.org that have an id (@id, identifier or url) and a name.

    \b
    melder kb import schema-org products.jsonld --out products.jsonl --pictures pictures.tsv
    """
    from melder.data.vocabularies.schema_org import schema_entities

    languages = languages_of(lang)
    write(source, out, pictures, lambda problems, notes: schema_entities(source, languages, problems, notes))
