"""`melder report`"""

from __future__ import annotations

from pathlib import Path

import typer

from melder.cli.console import finish, say, writable

__all__ = ["report"]


def report(
    run: Path = typer.Argument(help="The directory of the run that made the predictions."),
    predictions: Path = typer.Option(..., "--predictions", help="What `melder evaluate --predictions` wrote."),
    data: Path = typer.Option(..., "--data", help="The data set that was evaluated."),
    kb: Path = typer.Option(None, "--kb", help="The data set of the candidates, where it was another."),
    out: Path = typer.Option(None, "--out", help="The page; default: the name of the predictions and .html."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave malformed records out, and list them."),
) -> None:
    """Write an HTML page to look through what a run gets wrong: the page of `melder evaluate --report`.

    Nothing is linked again: seconds, not minutes. The page needs no network and nothing beside it.

    \b
    melder evaluate runs/wikimel --data data/wikimel --predictions dev.jsonl
    melder report runs/wikimel --predictions dev.jsonl --data data/wikimel
    """
    from melder.evaluation.evaluate import evaluate_predictions
    from melder.evaluation.report import write_report

    page = out or predictions.with_name(f"{predictions.name}.html")
    writable(page)
    result = evaluate_predictions(run, predictions, data, knowledge_base=kb, skip_bad=skip_bad)
    write_report(page, result.page())
    say(f"The report is in {page}")
    finish(result.skipped)
