"""Options of commands that read a table of entities, and what they say of how it was read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from melder.cli.console import say

if TYPE_CHECKING:
    from melder.data import EntityFile

__all__ = ["Columns", "Encoding", "ListSeparator", "MergeRows", "entity_file", "noted"]

Columns = Annotated[
    list[str],
    typer.Option("--column", metavar="FIELD=HEADER", help="Which column of a table holds a field, such as id=ID."),
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", help="Of a CSV file that is not UTF-8, such as windows-1252.")
]
ListSeparator = Annotated[
    str | None, typer.Option("--list-separator", help="What stands between several aliases, types or images; | or ;.")
]
MergeRows = Annotated[bool, typer.Option("--merge-rows", help="Rows of a table with one id are one entity.")]


def entity_file(
    path: Path,
    images: Path | None,
    columns: Sequence[str],
    encoding: str | None,
    list_separator: str | None,
    merge_rows: bool,
    *,
    skip_bad: bool,
) -> EntityFile:
    """The file that the options describe."""
    from melder.data import EntityFile
    from melder.data.tables.options import TableOptions, parse_columns

    options = TableOptions(parse_columns(columns), encoding, list_separator, merge_rows, lenient=skip_bad)
    return EntityFile(path, images, options)


@contextmanager
def noted(source: EntityFile) -> Iterator[None]:
    """Say how the file was read, whatever comes of it."""
    try:
        yield
    finally:
        for note in source.notes:
            say(f"note: {note}")
