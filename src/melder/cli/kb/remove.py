"""`melder kb remove`"""

from __future__ import annotations

from pathlib import Path

import typer

from melder.cli.console import say
from melder.cli.kb.changing import Directory
from melder.io.counts import how_many
from melder.records import MelderError

__all__ = ["remove"]


def remove(
    kb: Directory,
    ids: list[str] = typer.Argument(None, metavar="[ID]...", help="The ids of the entities."),
    id_file: Path = typer.Option(None, "--ids", help="A file of ids, one a line, instead."),
) -> None:
    """Remove entities by their ids; `melder kb compact` gives the space back.

    \b
    melder kb remove flags-kb GN GQ
    """
    if bool(ids) == (id_file is not None):
        raise MelderError("name ids, or with --ids a file that holds some")
    from melder.building.build import remove_entities

    chosen = list(dict.fromkeys(ids or _read(id_file)))
    remove_entities(kb, chosen)
    say(f"{kb}: {how_many(len(chosen), 'entity')} removed")


def _read(path: Path) -> list[str]:
    from melder.io.problems import read_bytes

    try:
        lines = [line.strip() for line in read_bytes(path).decode().splitlines()]
    except UnicodeDecodeError:
        raise MelderError(f"{path}: is not UTF-8; save the file as UTF-8") from None
    return [line for line in lines if line]
