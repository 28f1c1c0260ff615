"""`melder data info`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from melder.cli.console import console, finish, say
from melder.cli.options import EntityText, TextField

if TYPE_CHECKING:
    from melder.data.counts import Counts

__all__ = ["info"]

ENTITIES = {
    "entities": "entities",
    "texts": "with a description",
    "pictured": "with a picture",
    "pictures": "different pictures",
    "missing_pictures": "pictures that are not there",
    "homonyms": "with a name that another has too",
}
MENTIONS = {
    "mentions": "mentions",
    "texts": "different texts",
    "answers": "different answers",
    "nil": "without an answer (NIL)",
    "pictured": "with a picture",
    "pictures": "different pictures",
    "missing_pictures": "pictures that are not there",
    "absent_spans": "surface does not occur in the text",
    "surface_is_name": "surface is the answer's name",
    "surface_is_homonym": "surface is the name of several entities",
}


def info(
    directory: Path = typer.Argument(help="The directory of a data set."),
    layout: str = typer.Option("auto", "--layout", help="Its name (melder list layouts), or auto."),
    text_field: EntityText = TextField.desc,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of tables."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave malformed records out, and list them."),
) -> None:
    """Count what is in a data set, so that it can be compared with the published sizes (docs/reproduce.md).

    Every record is read and checked, and every picture's file is looked for; none is decoded.

    \b
    melder data info data/wikimel
    melder data info data/wikimel --text-field attr --json
    """
    from melder.data import load
    from melder.data.counts import count

    dataset = load(directory, layout, text_field, skip_bad)
    counts = count(dataset)
    if as_json:
        typer.echo(counts.model_dump_json(indent=2))
    else:
        _show(counts)
        for note in counts.notes:
            say(f"note: {note}")
    finish(dataset.skipped)


def _show(counts: Counts) -> None:
    entities = Table("knowledge base", title=f"{counts.directory}, layout {counts.layout}", title_justify="left")
    entities.add_column("", justify="right")
    for key, label in ENTITIES.items():
        entities.add_row(label, f"{getattr(counts.entities, key):,}")
    console.print(entities)
    if not counts.splits:
        return
    mentions = Table("mentions")
    for split in counts.splits:
        mentions.add_column(split, justify="right")
    for key, label in MENTIONS.items():
        mentions.add_row(label, *(f"{getattr(split, key):,}" for split in counts.splits.values()))
    console.print(mentions)
