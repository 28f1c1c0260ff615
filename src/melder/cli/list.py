"""`melder list`"""

from __future__ import annotations

import importlib
import json
from typing import Any

import typer

from melder.names import nearest
from melder.records import MelderError
from melder.registry import Registry

__all__ = ["REGISTRIES", "list_parts"]

# Where the registry of each kind is; it is imported when its parts are listed.
REGISTRIES = {
    "encoders": "melder.encoders.resolver:ENCODERS",
    "methods": "melder.methods.resolver:METHODS",
    "units": "melder.units.resolver:UNITS",
    "indexes": "melder.search.indexes:INDEXES",
    "layouts": "melder.data.layouts:LAYOUTS",
    "samplers": "melder.training.negatives.samplers:SAMPLERS",
    "loggers": "melder.training.loop.loggers:LOGGERS",
    "finders": "melder.mentions.resolver:FINDERS",
}


def list_parts(
    kind: str = typer.Argument(
        None, metavar="[KIND]", help=f"What is listed: {', '.join(REGISTRIES)}; default: these."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON array instead of a table."),
) -> None:
    """List the parts of a kind that a configuration or a command can name.

    Other packages add to them by entry points: see docs/extending.md.

    \b
    melder list
    melder list methods
    melder list indexes --json
    """
    from rich.markup import escape
    from rich.table import Table

    from melder.cli.console import console

    if kind is None:
        _list_kinds(as_json)
        return
    parts = _parts(registry_of(kind))
    if as_json:
        typer.echo(json.dumps(parts, indent=2, ensure_ascii=False))
        return
    table = Table("name", "what it is", "needs", "from")
    for part in parts:
        extra = f"melder[{part['extra']}]" if part["extra"] else ""
        table.add_row(*map(escape, (part["name"], part["summary"], extra, part["from"])))
    console.print(table)


def _list_kinds(as_json: bool) -> None:
    """The kinds, with the names of their parts."""
    from rich.table import Table

    from melder.cli.console import console

    kinds = {kind: registry_of(kind).names() for kind in REGISTRIES}
    if as_json:
        typer.echo(json.dumps(kinds, indent=2, ensure_ascii=False))
        return
    table = Table("kind", "parts; melder list KIND says what they are")
    for kind, names in kinds.items():
        table.add_row(kind, ", ".join(names))
    console.print(table)


def registry_of(kind: str) -> Registry[Any]:
    """The registry of a kind.

    Raises:
        MelderError: There is no such kind.
    """
    if kind not in REGISTRIES:
        near = nearest(kind, REGISTRIES, 1)
        hint = f" did you mean {near[0]}?" if near else ""
        raise MelderError(f"there is no kind of parts {kind!r};{hint} there are {', '.join(REGISTRIES)}")
    module, _, name = REGISTRIES[kind].partition(":")
    registry: Registry[Any] = getattr(importlib.import_module(module), name)
    return registry


def _parts(registry: Registry[Any]) -> list[dict[str, Any]]:
    return [
        {"name": entry.name, "summary": registry.summary(entry), "extra": entry.extra, "from": entry.package}
        for entry in registry.entries()
    ]
