"""`melder kb add`"""

from __future__ import annotations

from pathlib import Path

import typer

from melder.cli.console import finish, say

__all__ = ["add", "change"]


def add(
    kb: Path = typer.Argument(metavar="KB", help="The directory of a knowledge base."),
    entities: Path = typer.Option(..., "--entities", help="A file of entities: .jsonl, or .csv with a header row."),
    images: Path = typer.Option(None, "--images", help="The directory of their pictures; default: that of the file."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave malformed records and pictures out, and list them."),
) -> None:
    """Add entities; nothing that is there is written again. All of them come in at once, or none.

    \b
    melder kb add flags-kb --entities new.csv --images pictures
    """
    change(kb, entities, images, replace=False, skip_bad=skip_bad)


def change(kb: Path, entities: Path, images: Path | None, *, replace: bool, skip_bad: bool) -> None:
    """Add the entities of a file, or put them in the place of those with their ids."""
    from melder.data import EntityFile
    from melder.linking.kb_build import change_from_file

    built = change_from_file(kb, EntityFile(entities, images), replace=replace, skip_bad=skip_bad)
    say(f"{kb}: {built.entities:,} entities {'replaced' if replace else 'added'}")
    finish(built.skipped, list(built.unreadable.values()))
