"""What the importers share: their options, and what they say at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from melder.cli.console import finish, say, writable
from melder.io.counts import how_many
from melder.records import MelderError

if TYPE_CHECKING:
    from melder.data.tables.options import Notes
    from melder.data.vocabularies.imported import Imported
    from melder.io.problems import Problems

__all__ = ["Lang", "Out", "Pictures", "Source", "write"]

Source = Annotated[Path, typer.Argument(metavar="FILE", help="The vocabulary; .gz and .bz2 are unpacked on the way.")]
Out = Annotated[Path, typer.Option("--out", help="The file of entities, .jsonl.")]
Lang = Annotated[
    str,
    typer.Option("--language", "--lang", help="Languages of names and descriptions; the first is shown."),
]
Pictures = Annotated[
    Path | None,
    typer.Option("--pictures", help="List pictures here, a name, a tab, an address a line, and name them in entities."),
]


def write(
    source: Path, out: Path, pictures: Path | None, read: Callable[[Problems, Notes], Iterator[Imported]]
) -> None:
    """Write the entities that `read` gives, and say what was left out."""
    from melder.data.tables.options import Notes
    from melder.data.vocabularies.imported import write_imported
    from melder.io.problems import Problems

    if not source.is_file():
        raise MelderError(f"{source}: there is no such file; name the vocabulary's")
    if out.suffix.lower() != ".jsonl":
        raise MelderError(f"{out}: entities are written as JSON Lines; give the file the ending .jsonl")
    writable(out)
    writable(pictures)
    problems, notes = Problems(), Notes()
    count = write_imported(out, read(problems, notes), pictures)
    for note in notes:
        say(f"note: {note}")
    if not count:
        out.unlink(missing_ok=True)
        raise (
            problems.error()
            if problems.records
            else MelderError(f"{source}: nothing in it is wanted; {out} is not there")
        )
    if pictures is not None:
        say(f"{pictures}: the pictures' names and addresses; fetch them as you like into a directory for --images")
    say(f"{out}: {how_many(count, 'entity')}. Next: melder kb check {out}")
    finish(problems.records)
