"""`melder train`"""

from __future__ import annotations

from pathlib import Path

import typer

from melder.cli.console import Unreadable, console, counting, finish, metrics_table, say, tell_look

__all__ = ["train"]


def train(
    configuration: Path = typer.Argument(help="A YAML file; experiments/ holds one for each method and data set."),
    assignments: list[str] = typer.Argument(None, metavar="[KEY=VALUE]...", help="Settings that replace the file's."),
    out: Path = typer.Option(..., "--out", help="The directory of the run; a training stopped there goes on."),
    from_kb: Path = typer.Option(
        None, "--from-kb", help="Make mentions from the entities of this knowledge base or data set: no labels needed."
    ),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave malformed records and pictures out, and list them."),
) -> None:
    """Train a method on a data set, and keep what did best on the selection set.

    \b
    melder train experiments/m3el/wikimel.offline.yaml --out runs/wikimel
    melder train my.yaml training.epochs=5 method.cross=uni --out runs/short
    melder train my.yaml --from-kb my-kb --out runs/unlabelled
    """
    from melder.training.configuration import read_configuration
    from melder.training.from_entities import without_labels
    from melder.training.progress import StepProgress
    from melder.training.train import train as run

    changes = [*(assignments or []), *(["data.skip_bad=true"] if skip_bad else [])]
    if from_kb is not None:
        changes = without_labels(configuration, changes, from_kb)
    chosen = read_configuration(configuration, changes)
    unreadable = Unreadable() if chosen.data.skip_bad else None
    with counting() as start:
        result = run(
            chosen, out, counting=start, told=tell_look, callbacks=[StepProgress(start)], on_unreadable=unreadable
        )
    if not result.first:
        return
    rows = {"name match": result.metrics["name_match"], "trained": result.metrics}
    console.print(metrics_table(f"Selection set: {result.metrics['split']}", rows))
    say(f"The run is in {out}. Next: melder evaluate {out} --data {chosen.data.directory} --split dev")
    finish(result.skipped, list(unreadable.reasons.values()) if unreadable else [])
