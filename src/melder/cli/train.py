"""`melder train`"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import typer

from melder.cli.console import Unreadable, console, counting, finish, metrics_table, say, say_validation
from melder.records import MelderError

if TYPE_CHECKING:
    from melder.training.configuration import Configuration

__all__ = ["train"]


def train(
    configuration: str | None = typer.Argument(
        None, help="A YAML file; `melder init` writes one. Default: what it would write for --data or --from-kb."
    ),
    assignments: list[str] = typer.Argument(None, metavar="[KEY=VALUE]...", help="Settings that replace the file's."),
    out: Path = typer.Option(..., "--out", help="The directory of the run; a training stopped there goes on."),
    from_kb: Path = typer.Option(
        None, "--from-kb", help="Make mentions from the entities of this knowledge base or data set: no labels needed."
    ),
    data: Path = typer.Option(None, "--data", help="The data set to train on, in the place of the file's."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave malformed records and pictures out, and list them."),
) -> None:
    """Train a method on a data set, and keep what did best on the selection set.

    \b
    melder train experiments/m3el/wikimel.offline.yaml --out runs/wikimel
    melder train my.yaml training.epochs=5 method.cross=uni --out runs/short
    melder train --data my-data --out runs/mine
    melder train --from-kb my-kb --out runs/unlabelled
    """
    from melder.runs.configuration_file import checked, override
    from melder.training.configuration import Configuration
    from melder.training.from_entities import without_labels
    from melder.training.keep_better import awaits_comparison
    from melder.training.loop.train import train as run

    changes = [*(assignments or []), *(["data.skip_bad=true"] if skip_bad else [])]
    if configuration is not None and "=" in configuration and not Path(configuration).is_file():
        changes.insert(0, configuration)
        configuration = None
    if from_kb is not None and data is not None:
        raise MelderError("--data names labelled mentions and --from-kb makes some from entities: give one of them")
    recipe = _recipe(configuration, from_kb or data)
    if data is not None:
        changes = [f"data.directory={data}", *changes]
    if from_kb is not None:
        changes = without_labels(recipe, changes, from_kb)
    chosen = checked(Configuration, override(recipe, changes), str(configuration or "the recipe of `melder init`"))
    unreadable = Unreadable() if chosen.data.skip_bad else None
    result = None
    if from_kb is None or not awaits_comparison(out):
        with counting() as start:
            result = run(chosen, out, counting=start, on_validation=say_validation, on_unreadable=unreadable)
        if not result.first:
            return
        rows = {"name match": result.metrics["name_match"], "trained": result.metrics}
        console.print(metrics_table(f"Selection set: {result.metrics['split']}", rows))
        if parameters := result.metrics["parameters"]:
            trained, every = parameters["trained"], parameters["all"]
            say(f"Trained: {trained:,} of {every:,} parameters ({_per_cent(trained / every)} %).")
    if from_kb is not None:
        _keep_better(out, chosen, from_kb)
    say(f"The run is in {out}. Next: {_next(out, chosen, result.splits if result else ())}")
    finish(result.skipped if result else [], list(unreadable.reasons.values()) if unreadable else [])


def _per_cent(share: float) -> str:
    """Two digits of a small share, and 100 as it is written."""
    return f"{100 * share:.2g}" if share < 0.1 else f"{100 * share:.0f}"


def _keep_better(out: Path, configuration: Configuration, source: Path) -> None:
    """Say how the training compares with what there was before, and which of the two the run is now."""
    from melder.training.keep_better import BEFORE, TRAINED, keep_better

    with counting() as start:
        result = keep_better(out, configuration, source, start)
    if result.reason:
        say(f"note: nothing to compare the training with: {result.reason}")
        return
    console.print(metrics_table("Made mentions that were held out", result.made))
    if result.names:
        console.print(metrics_table("Exact names", result.names))
    if result.kept == BEFORE:
        say(
            f"note: training did not make it better, so {out} holds the model from before; the trained one is in "
            f"{out / TRAINED}"
        )


def _recipe(file: str | None, source: Path | None) -> dict[str, Any]:
    """The configuration of a file, or one that suits the data."""
    from melder.runs.configuration_file import read_yaml
    from melder.training.recipe import suggest, survey

    if file is not None:
        return read_yaml(Path(file))
    if source is None:
        raise MelderError("name a recipe (`melder init DATA` writes one), or data to train on: --data or --from-kb")
    recipe = suggest(survey(source))
    say("The recipe, as `melder init` writes it:")
    say(recipe.text())
    return recipe.sections


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
