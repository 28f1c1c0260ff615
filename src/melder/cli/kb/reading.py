"""What `melder kb show`, `list` and `search` share: entities as a table or as JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from melder.cli.console import console
from melder.records import Entity, MelderError

if TYPE_CHECKING:
    from melder.kb import KnowledgeBase

__all__ = ["NEAREST", "AsJson", "Limit", "did_you_mean", "known_rows", "print_entities"]

AsJson = Annotated[bool, typer.Option("--json", help="Print each entity as one line of JSON instead of a table.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many entities at most.")]
DESCRIPTION = 60  # characters of a description that a table shows
NEAREST = 3  # ids or names that a message offers


def print_entities(entities: Iterable[Entity], as_json: bool) -> None:
    """One line of JSON an entity, as `melder kb build` reads them, or a table."""
    if as_json:
        for entity in entities:
            typer.echo(entity.model_dump_json())
        return
    table = Table("id", "name", "types", "description")
    for entity in entities:
        short = entity.description if len(entity.description) <= DESCRIPTION else entity.description[:DESCRIPTION] + "…"
        table.add_row(Text(entity.id), Text(entity.name), Text(", ".join(entity.types)), Text(" ".join(short.split())))
    console.print(table)


def did_you_mean(near: Iterable[Entity]) -> str:
    """The question that offers entities, each once; empty where there is none."""
    offered = " or ".join(dict.fromkeys(f"{entity.id} ({entity.name})" for entity in near))
    return offered and f"did you mean {offered}?"


def known_rows(base: KnowledgeBase, identities: Sequence[str]) -> list[int]:
    """Where the entities with these ids are.

    Raises:
        MelderError: There is none with an id; the message offers those whose names begin so.
    """
    rows = base.rows(identities)
    for identity in identities:
        if identity not in rows:
            named = base.records([*base.named(identity), *base.search(identity, NEAREST)][:NEAREST])
            remedy = did_you_mean(named) or "`melder kb search` finds entities by name"
            raise MelderError(f"{base.directory}: there is no entity {identity!r}; {remedy}")
    return [rows[identity] for identity in identities]
