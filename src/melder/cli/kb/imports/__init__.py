"""`melder kb import`: one vocabulary a file."""

from __future__ import annotations

import typer

from melder.cli.kb.imports.mediawiki_titles import mediawiki_titles
from melder.cli.kb.imports.schema_org import schema_org
from melder.cli.kb.imports.skos import skos
from melder.cli.kb.imports.wikidata import wikidata

__all__ = ["imports"]

imports = typer.Typer(
    help="Make a file of entities of a published vocabulary; nothing is ever fetched.", no_args_is_help=True
)
imports.command("wikidata")(wikidata)
imports.command("skos")(skos)
imports.command("schema-org")(schema_org)
imports.command("mediawiki-titles")(mediawiki_titles)
