"""`melder experiment`"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from melder.cli.console import SKIPPED, Unreadable, counting, finish, say, writable
from melder.io.counts import how_many

if TYPE_CHECKING:
    from melder.jobs.experiments.plan import ExperimentPlan
    from melder.jobs.experiments.results import ExperimentResults

__all__ = ["experiment"]


def experiment(
    file: Path = typer.Argument(help="A YAML file of rows; docs/training.md says what it holds."),
    assignments: list[str] = typer.Argument(None, metavar="[KEY=VALUE]...", help="Settings that replace all rows'."),
    out: Path = typer.Option(Path("runs/experiments"), "--out", help="Where runs and tables go; files may share it."),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Check the file, print what is there and what is missing, and run and write nothing."
    ),
    minutes: float = typer.Option(None, "--minutes", min=0, help="Begin nothing further after so many minutes."),
) -> None:
    """Train and evaluate the rows of a table with several seeds, and compare them; what is there is not run again.

    \b
    melder experiment experiments/methods.yaml --dry-run
    melder experiment experiments/methods.yaml --minutes 60
    melder experiment mine.yaml training.epochs=3 --out runs/short

    Prints the tables as Markdown, and writes them to OUT as FILE's name .md, .tex and .json. With several seeds an
    interval is over the seeds, with one over the mentions. Stopped, it goes on when the same command is given again.
    """
    from melder.jobs.experiments.carry_out import ExperimentRunner
    from melder.jobs.experiments.experiment_file import read_experiment
    from melder.jobs.experiments.markup import as_markdown
    from melder.jobs.experiments.plan import plan_experiment
    from melder.jobs.experiments.results import results_of

    plan = plan_experiment(file, read_experiment(file), out, assignments or [])
    _say_what_is_there(plan)
    if dry_run:
        typer.echo(as_markdown(results_of(plan)), nl=False)
        return
    writable(out / file.name)
    unreadable, until = Unreadable(), time.monotonic() + 60 * (float("inf") if minutes is None else minutes)
    with counting() as start:
        runner = ExperimentRunner(out, start, say, unreadable, until)
        runner.carry_out(plan)
    results = results_of(plan)
    typer.echo(as_markdown(results), nl=False)
    _write(out / file.stem, results)
    for failure in runner.failures:
        say(f"failed: {failure}")
    if runner.failures:
        raise typer.Exit(SKIPPED)
    finish([], list(unreadable.reasons.values()))


def _say_what_is_there(plan: ExperimentPlan) -> None:
    runs, missing = plan.runs, plan.missing
    finished, stopped = sum(run.is_finished for run in runs), sum(run.is_stopped for run in runs)
    waiting = f", {stopped} stopped" if stopped else ""
    done = len(plan.evaluations) - len(missing)
    say(f"{how_many(len(runs), 'training')}: {finished} finished{waiting}; {done} of {len(plan.evaluations)} evaluated")


def _write(stem: Path, results: ExperimentResults) -> None:
    from melder.io.atomic import replace_file
    from melder.jobs.experiments.markup import as_latex, as_markdown
    from melder.runs.directory import write_json

    replace_file(stem.with_name(f"{stem.name}.md"), as_markdown(results).encode())
    replace_file(stem.with_name(f"{stem.name}.tex"), as_latex(results).encode())
    write_json(stem.with_name(f"{stem.name}.json"), results.as_json())
    say(f"The tables are in {stem}.md, .tex and .json")
