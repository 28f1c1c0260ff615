"""`melder kb info`"""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from melder.cli.console import console
from melder.cli.kb.changing import Directory
from melder.io.counts import how_many

__all__ = ["info"]

TYPES = 12  # of which a table names the most frequent


def info(
    kb: Directory,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of a table."),
) -> None:
    """Say what a knowledge base holds, with which model it was built, and what both take on the disk.

    \b
    melder kb info flags-kb
    """
    from melder.kb import open_knowledge_base
    from melder.kb.inspection import information

    with open_knowledge_base(kb) as base:
        told = information(base)
    if as_json:
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        console.print(_table(told))


def _table(told: dict[str, Any]) -> Table:
    table = Table("knowledge base", "", title=Text(told["directory"]), title_justify="left")
    for name, value in told.items():
        if name == "types":
            table.add_row("types", Text(_types(value)))
            continue
        if name.startswith("bytes") or name in ("directory", "indexes", "unreadable_pictures"):
            continue
        table.add_row(name.replace("_", " "), Text(f"{value:,}" if isinstance(value, int) else str(value)))
    for name, size in told["bytes_per_entity"].items():
        table.add_row(f"bytes an entity: {name}", f"{size:,.0f}")
    for search, index in told["indexes"].items():
        table.add_row(
            Text(f"index {search}"), f"{how_many(index['entities'], 'entity')}, {how_many(index['bytes'], 'byte')}"
        )
    table.add_row("bytes of exemplars", f"{told['bytes_exemplars']:,}")
    table.add_row("bytes of the model", f"{told['bytes_model']:,}")
    table.add_row("bytes in all", f"{told['bytes']:,}")
    table.add_row("pictures that could not be read", f"{len(told['unreadable_pictures']):,}")
    return table


def _types(counts: dict[str, int]) -> str:
    """The most frequent, with how many entities have each."""
    shown = [f"{name} {count:,}" for name, count in list(counts.items())[:TYPES]]
    more = [f"and {len(counts) - TYPES:,} more"] if len(counts) > TYPES else []
    return ", ".join([*shown, *more]) or "none"
