"""`melder kb shard`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from melder.cli.console import say
from melder.io.counts import how_many
from melder.records import MelderError

__all__ = ["shard"]


def shard(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A directory that then stands for all of them.")],
    bases: Annotated[list[Path], typer.Argument(metavar="KB…", help="Knowledge bases that were built with one run.")],
    split: Annotated[
        int | None, typer.Option("--split", min=2, help="Copy one knowledge base into so many shards within OUT.")
    ] = None,
) -> None:
    """Make several knowledge bases one, which is linked to as any other; or cut one into several.

    \b
    melder kb shard world europe-kb asia-kb africa-kb
    melder kb shard world-parts world-kb --split 8
    melder link world --text "Guinea won the toss" --mention Guinea

    Shards stay where they are, and are changed by themselves: melder kb add africa-kb --entities new.csv
    """
    from melder.kb.shards import join
    from melder.kb.shards import split as split_base

    if split is None:
        joined = f"{how_many(join(out, bases), 'entity')} in {how_many(len(bases), 'shard')}"
        say(f"{out}: {joined}. Next: melder link {out} --text TEXT")
        return
    if len(bases) != 1:
        raise MelderError(f"--split cuts one knowledge base into {split}; name just one")
    made = split_base(out, bases[0], split)
    say(f"{out}: {how_many(made, 'shard')}" + (", as many as it has segments" if made < split else ""))
