"""`melder calibrate`"""

from __future__ import annotations

from pathlib import Path

import typer

from melder.cli.console import Unreadable, counting, finish, say
from melder.io.counts import how_many

__all__ = ["calibrate"]


def calibrate(
    run: Path = typer.Argument(metavar="RUN|KB", help="The directory of a run, or of a knowledge base."),
    data: Path = typer.Option(..., "--data", help="The data set whose mentions are linked."),
    split: str = typer.Option("tune", "--split", help="tune (what the run was selected on), train, dev or test."),
    kb: Path = typer.Option(None, "--kb", help="Link to the entities of this data set, or knowledge base of this run."),
    share: float = typer.Option(0.5, "--share", min=0.001, max=0.999, help="Share of NIL mentions to expect."),
    prior: bool = typer.Option(
        False, "--prior", help="Fit what --prior and --coherence of link and evaluate count, too, into prior.json."
    ),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave malformed records and pictures out, and list them."),
) -> None:
    """Fit the probabilities that a mention's entity is not in the knowledge base (NIL), and keep them in nil.json.

    Training does this at its end; do it again for another knowledge base, or another share of NIL mentions. Each
    mention is taken twice, with its entity among the candidates and without it.

    \b
    melder calibrate runs/wikimel --data data/wikimel --share 0.1
    melder calibrate my-kb --data labelled --split dev
    """
    from melder.training.calibrate import CalibrationOptions
    from melder.training.calibrate import calibrate as fit

    options = CalibrationOptions(split, kb, share, prior, skip_bad)
    unreadable = Unreadable() if skip_bad else None
    with counting() as start:
        nil = fit(run, data, options, counting=start, on_unreadable=unreadable)
    say(f"Fitted on {how_many(nil.mentions, 'mention')}. Next: melder evaluate {run} --data {data} --nil-threshold 0.5")
    finish([], list(unreadable.reasons.values()) if unreadable else [])
