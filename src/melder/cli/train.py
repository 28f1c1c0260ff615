"""`melder train`"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import typer

from melder.cli.console import Unreadable, console, counting, finish, metrics_table, say, say_validation

if TYPE_CHECKING:
    from melder.training.configuration import Configuration

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
    from melder.training.loop.train import train as run

    changes = [*(assignments or []), *(["data.skip_bad=true"] if skip_bad else [])]
    if from_kb is not None:
        changes = without_labels(configuration, changes, from_kb)
    chosen = read_configuration(configuration, changes)
    unreadable = Unreadable() if chosen.data.skip_bad else None
    with counting() as start:
        result = run(chosen, out, counting=start, on_validation=say_validation, on_unreadable=unreadable)
    if not result.first:
        return
    rows = {"name match": result.metrics["name_match"], "trained": result.metrics}
    console.print(metrics_table(f"Selection set: {result.metrics['split']}", rows))
    say(f"The run is in {out}. Next: {_next(out, chosen, result.splits)}")
    finish(result.skipped, list(unreadable.reasons.values()) if unreadable else [])


def _next(out: Path, configuration: Configuration, splits: Sequence[str]) -> str:
    """A command that works now. Of a training without labels, or on data without another split, there is nothing to
    evaluate on: its entities make a knowledge base."""
    from melder.training.from_entities import MADE

    without_labels = configuration.data.from_entities is not None
    data = out / MADE if without_labels else configuration.data.directory
    held_out = next((split for split in ("dev", "test") if split in splits), None)
    leaving_out = " --skip-bad" if configuration.data.skip_bad else ""
    if held_out is not None and not without_labels:
        return f"melder evaluate {_quoted(out)} --data {_quoted(data)} --split {held_out}{leaving_out}"
    if not (data / "entities.jsonl").is_file():
        return f"melder kb build {_quoted(out)} --entities FILE --out KB, with your entities as JSON Lines or CSV"
    entities = f"--entities {_quoted(data / 'entities.jsonl')} --images {_quoted(data)}"
    return f"melder kb build {_quoted(out)} {entities} --out {_quoted(out.with_name(f'{out.name}-kb'))}{leaving_out}"


def _quoted(path: Path) -> str:
    """As a shell reads it."""
    return quote(str(path))
