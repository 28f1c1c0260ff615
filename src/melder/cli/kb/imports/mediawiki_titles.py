"""`melder kb import mediawiki-titles`"""

from __future__ import annotations

from melder.cli.kb.imports.common import Out, Source, write

__all__ = ["mediawiki_titles"]


def mediawiki_titles(source: Source, out: Out) -> None:
    """Pages of a wiki, by a list of their titles. Redirects cannot be told from pages there.

    \b
    melder kb import mediawiki-titles dewiki-latest-all-titles-in-ns0.gz --out pages.jsonl
    """
    from melder.data.vocabularies.mediawiki_titles import title_entities

    write(source, out, None, lambda problems, notes: title_entities(source, problems, notes))
