"""`melder kb show`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from melder.cli.console import console, say, writable
from melder.cli.kb.changing import Directory
from melder.cli.kb.reading import AsJson, known_rows, print_entities
from melder.io.atomic import replace_file
from melder.records import Entity, MelderError

if TYPE_CHECKING:
    from melder.kb import KnowledgeBase

__all__ = ["show"]


def show(
    kb: Directory,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of entities.")],
    as_json: AsJson = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="Write the first picture of one entity here.")
    ] = None,
) -> None:
    """Show all that a knowledge base holds of an entity.

    \b
    melder kb show flags-kb GN --picture guinea.jpg
    """
    from melder.kb import open_knowledge_base

    if picture is not None and len(ids) > 1:
        raise MelderError(f"--picture: is one file, and {len(ids)} entities are named; name one")
    writable(picture)
    with open_knowledge_base(kb) as base:
        rows = known_rows(base, ids)
        entities = base.records(rows)
        if picture is not None:
            _write(base, entities[0], picture)
        if as_json:
            print_entities(entities, as_json)
        else:
            for entity in entities:
                console.print(_table(entity))


def _write(base: KnowledgeBase, entity: Entity, file: Path) -> None:
    content = base.entity_picture(entity)
    if content is None:
        raise MelderError(f"{entity.id}: no picture of it is kept in the knowledge base")
    replace_file(file, content)
    say(f"{file}: written")


def _table(entity: Entity) -> Table:
    table = Table("entity", escape(entity.id))
    fields = {
        "name": entity.name,
        "aliases": ", ".join(entity.aliases),
        "types": ", ".join(entity.types),
        "description": entity.description,
        "images": ", ".join(entity.images),
    }
    for name, value in fields.items():
        if value:
            table.add_row(name, Text(value))
    return table
