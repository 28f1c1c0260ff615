"""`melder init`"""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from melder.cli.console import say, writable
from melder.io.atomic import replace_file
from melder.io.counts import how_many
from melder.records import MelderError

__all__ = ["init"]


def init(
    data: Annotated[Path, typer.Argument(help="A data set, a knowledge base, or a table of entities.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The recipe to write.")] = Path("melder.yaml"),
    encoder: Annotated[
        str | None, typer.Option("--encoder", help="Any of `melder list encoders`; default: the best one installed.")
    ] = None,
    method: Annotated[str, typer.Option("--method", help="Any of `melder list methods`.")] = "m3el",
    force: Annotated[bool, typer.Option("--force", help="Replace a recipe that is there.")] = False,
) -> None:
    """Look at data and write a recipe for training on it, with a reason for each choice.

    \b
    melder init my-data
    melder train melder.yaml --out runs/mine
    """
    from melder.data.entity_file import JSON
    from melder.data.tables.rows import FORMATS
    from melder.runs.configuration_file import checked
    from melder.training.configuration import Configuration
    from melder.training.recipe import suggest, survey

    if data.is_file() and data.suffix.lower() in {*FORMATS, *JSON}:
        say(_of_a_table(data))
        return
    if out.exists() and not force:
        raise MelderError(f"{out}: is there already; name another one with --out, or add --force")
    writable(out)
    found = survey(data)
    recipe = suggest(found, encoder, method)
    checked(Configuration, recipe.sections, str(out))
    replace_file(out, recipe.text().encode())
    labelled = (
        f"{how_many(found.mentions, 'labelled mention')} to train on" if found.mentions else "no labelled mentions"
    )
    say(f"{data}: {how_many(found.entities, 'entity')}, {found.pictured[0]:.0%} with a picture; {labelled}")
    run = Path("runs") / data.resolve().name
    say(f"{out}: written, with the reasons. Next: melder train {quote(str(out))} --out {quote(str(run))}")


def _of_a_table(table: Path) -> str:
    """A table of entities has nothing to train on yet."""
    file, kb = quote(str(table)), quote(str(table.with_name(f"{table.stem}-kb")))
    commands = (
        f"melder kb check {file}",
        f"melder kb build --encoder starter --entities {file} --out {kb}",
        f"melder init {kb}, for a recipe that trains without labels",
    )
    return f"{table}: is a table of entities. Next: {'; '.join(commands)}"
