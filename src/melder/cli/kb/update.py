"""`melder kb update`"""

from __future__ import annotations

from pathlib import Path

import typer

from melder.cli.kb.add import change

__all__ = ["update"]


def update(
    kb: Path = typer.Argument(metavar="KB", help="The directory of a knowledge base."),
    entities: Path = typer.Option(..., "--entities", help="A file of entities: .jsonl, or .csv with a header row."),
    images: Path = typer.Option(None, "--images", help="The directory of their pictures; default: that of the file."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave malformed records and pictures out, and list them."),
) -> None:
    """Put entities in the place of those with the same ids, whole records: what a new one does not say is gone.

    \b
    melder kb update flags-kb --entities corrected.jsonl --images pictures
    """
    change(kb, entities, images, replace=True, skip_bad=skip_bad)
