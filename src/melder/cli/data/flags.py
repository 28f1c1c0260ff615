"""`melder data flags`"""

from __future__ import annotations

from pathlib import Path

import typer

from melder.cli.console import counting, say

__all__ = ["flags"]


def flags(
    out: Path = typer.Option(..., "--out", help="A new or empty directory."),
    seed: int = typer.Option(0, "--seed", min=0, help="Of the photographs and sentences."),
    train: int = typer.Option(2500, "--train", min=1, help="Mentions to train on."),
    held_out: int = typer.Option(300, "--held-out", min=1, help="Mentions each of dev and test."),
    by_name: int = typer.Option(340, "--by-name", min=0, help="Mentions more to train on that give the name."),
) -> None:
    """Draw the flags of the world and photograph them: a data set with confusable names and all its pictures.

    It is what `melder demo` trains on, in Melder's own layout, and the same for the same seed.

    \b
    melder data flags --out flags
    melder data flags --out small --train 500 --held-out 100 --seed 7
    """
    from melder.data.flags import write_flags
    from melder.data.writing import claim

    claim(out)
    with counting() as start:
        write_flags(out, seed=seed, train=train, held_out=held_out, by_name=by_name, counting=start)
    say(f"The flags are in {out}. Next: melder data info {out}")
