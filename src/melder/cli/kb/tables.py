"""Options of commands that read a table of entities, and what they say of how it was read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from melder.cli.console import say
from melder.records import MelderError

if TYPE_CHECKING:
    from melder.data import EntityFile
    from melder.data.tables.options import TableOptions

__all__ = [
    "Columns",
    "Encoding",
    "FromSql",
    "ListSeparator",
    "MergeRows",
    "Query",
    "Sheet",
    "entity_file",
    "noted",
    "table_options",
]

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
Sheet = Annotated[
    str | None,
    typer.Option("--sheet", help="Of a workbook; default: the first that has something, and is not hidden."),
]
MergeRows = Annotated[bool, typer.Option("--merge-rows", help="Rows of a table with one id are one entity.")]
FromSql = Annotated[
    str | None,
    typer.Option("--from-sql", metavar="URL", help="Instead of --entities: a database, as SQLAlchemy names it."),
]
Query = Annotated[
    str | None, typer.Option("--query", metavar="SELECT", help="With --from-sql: what gives the entities, one a row.")
]


def table_options(
    columns: Sequence[str],
    encoding: str | None,
    sheet: str | None,
    list_separator: str | None = None,
    merge_rows: bool = False,
    *,
    lenient: bool = False,
) -> TableOptions:
    """What the options of a command say of a table, of entities or of mentions."""
    from melder.data.tables.options import TableOptions, parse_columns

    return TableOptions(parse_columns(columns), encoding, sheet, list_separator, merge_rows, lenient)


def entity_file(
    path: Path | None,
    images: Path | None,
    options: TableOptions,
    from_sql: str | None = None,
    query: str | None = None,
) -> EntityFile:
    """The file, or the query, that the options describe."""
    from melder.data import EntityFile
    from melder.data.entity_query import EntityQuery

    if (from_sql is None) != (query is None):
        raise MelderError("--from-sql and --query go together: the URL of a database, and a SELECT")
    if from_sql is not None and query is not None and path is None:
        return EntityQuery(from_sql, query, images, options)
    if path is None or from_sql is not None:
        raise MelderError("name either a file with --entities, or a database with --from-sql and --query")
    return EntityFile(path, images, options)


@contextmanager
def noted(source: EntityFile) -> Iterator[None]:
    """Say how the file was read, whatever comes of it."""
    try:
        yield
    finally:
        for note in source.notes:
            say(f"note: {note}")
