"""What `melder kb add` and `update` share with each other, and in part with `build`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from melder.cli.console import counting, finish, say
from melder.cli.kb.tables import entity_file, noted
from melder.io.counts import how_many

if TYPE_CHECKING:
    from melder.data.tables.options import TableOptions

__all__ = ["Directory", "Entities", "EntitiesOrQuery", "Images", "SkipBad", "change"]

Directory = Annotated[Path, typer.Argument(metavar="KB", help="The directory of a knowledge base.")]
Entities = Annotated[
    Path, typer.Option("--entities", help="A file of entities: .jsonl, .json, .csv, .xlsx or .parquet.")
]
EntitiesOrQuery = Annotated[
    Path | None, typer.Option("--entities", help="A file of entities: .jsonl, .json, .csv, .xlsx or .parquet.")
]
Images = Annotated[
    Path | None, typer.Option("--images", help="The directory of their pictures; default: that of the file.")
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave malformed records and pictures out, and list them.")]


def change(
    kb: Path,
    entities: Path,
    images: Path | None,
    table: TableOptions,
    *,
    replace: bool,
) -> None:
    """Add the entities of a file, or put them in the place of those with their ids."""
    from melder.building.build import change_from_file

    source = entity_file(entities, images, table)
    with noted(source), counting() as start:
        built = change_from_file(kb, source, replace=replace, skip_bad=table.lenient, counting=start)
    say(f"{kb}: {how_many(built.entities, 'entity')} {'replaced' if replace else 'added'}")
    finish(built.skipped, list(built.unreadable.values()))
