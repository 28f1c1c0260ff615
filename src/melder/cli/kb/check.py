"""`melder kb check`"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from melder.cli.console import console, finish, say
from melder.cli.kb.changing import Images, SkipBad
from melder.cli.kb.tables import Columns, Encoding, ListSeparator, MergeRows, Sheet, entity_file, noted, table_options
from melder.io.counts import how_many, in_number

if TYPE_CHECKING:
    from melder.data.entity_counts import EntityCounts
    from melder.data.tables.options import TableOptions

__all__ = ["check"]

EntityFileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A file of entities: .jsonl, .json, .csv, .tsv, .xlsx or .parquet.")
]
MENDING = "{} [record needs|records need] mending (--skip-bad goes without [it|them])"
NO_NAMES = (
    "all can be built, but no entity has a name: say which column it is by --column name=HEADER, or mentions are "
    "compared with descriptions alone"
)
COUNTS = {
    "entities": "entities",
    "named": "with a name",
    "aliases": "with aliases",
    "described": "with a description",
    "typed": "with a type",
    "pictured": "with a picture that is there",
    "homonyms": "with a name that another has too",
}


def check(
    file: EntityFileArgument,
    images: Images = None,
    skip_bad: SkipBad = False,
    columns: Columns = [],  # noqa: B006
    encoding: Encoding = None,
    list_separator: ListSeparator = None,
    merge_rows: MergeRows = False,
    sheet: Sheet = None,
) -> None:
    """Say what a file of entities holds, how it is read and what is wrong with it, before anything is encoded.

    Ends with status 2 when `melder kb build` would refuse it, and with status 3 when --skip-bad would leave something
    out. Pictures are looked for, not opened.

    \b
    melder kb check flags.csv --images pictures
    melder kb check export.csv --column id=ID --column name=Label
    """
    from melder.data.entity_counts import count_entities

    table = table_options(columns, encoding, sheet, list_separator, merge_rows, lenient=skip_bad)
    source = entity_file(file, images, table)
    with noted(source):
        counts, problems = count_entities(source)
        console.print(_table(file, counts))
    if problems.records and skip_bad and counts.entities:
        say(f"melder kb build --skip-bad would take {how_many(counts.entities, 'entity')} of these")
        finish(problems.records)
    if problems.records:
        say(in_number(f"{MENDING}:", len(problems.records)))
        raise problems.error()
    options = _options(images, table)
    command = shlex.join(["melder", "kb", "build", "--entities", str(file), *options])
    unnamed = "" if counts.named else NO_NAMES
    say(f"{unnamed or 'nothing is wrong'}. Next: {command} --encoder ENCODER --out DIRECTORY")


def _options(images: Path | None, table: TableOptions) -> list[str]:
    """The options with which a build reads the file as this check does."""
    named = {
        "--images": images,
        "--encoding": table.encoding,
        "--list-separator": table.list_separator,
        "--sheet": table.sheet,
    }
    words = [word for name, value in named.items() if value is not None for word in (name, str(value))]
    words += [word for field, header in table.columns for word in ("--column", f"{field}={header}")]
    return [*words, "--merge-rows"] if table.merge_rows else words


def _table(file: Path, counts: EntityCounts) -> Table:
    table = Table("", "", title=Text(str(file)), title_justify="left", show_header=False)
    for key, label in COUNTS.items():
        table.add_row(label, f"{getattr(counts, key):,}")
    for kind, count in counts.kinds[:5]:
        table.add_row(Text(f"type {kind}"), f"{count:,}")
    for entity in counts.first:
        table.add_row(Text(f"such as {entity.id}"), Text(_shown(entity.name, entity.aliases, entity.description)))
    return table


def _shown(name: str, aliases: tuple[str, ...], description: str) -> str:
    also = f" (also {', '.join(aliases)})" if aliases else ""
    text = f"{name}{also}: {description}" if description else f"{name}{also}"
    return text if len(text) <= 100 else f"{text[:99]}…"
