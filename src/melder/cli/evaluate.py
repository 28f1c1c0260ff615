"""`melder evaluate`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from melder.cli.console import Unreadable, console, counting, finish, metrics_table, nil_table, say, writable
from melder.cli.options import Changes, Coherence, Prior
from melder.io.counts import how_many, in_number

__all__ = ["evaluate"]

NOT_FOUND = "{} [answer was|answers were] not among the names found: [its rank is a bound|their ranks are bounds]"
DROPPED = "{} [demonstration was|demonstrations were] left out: the context has no room"


def evaluate(
    run: Path = typer.Argument(metavar="RUN|KB", help="The directory of a run, or of a knowledge base with its own."),
    data: Path = typer.Option(..., "--data", help="The data set whose mentions are linked."),
    split: str = typer.Option("dev", "--split", help="train, dev, test, or tune: what the run was selected on."),
    kb: Path = typer.Option(
        None, "--kb", help="Link to the entities of this data set, or knowledge base of this run, instead."
    ),
    json_file: Path = typer.Option(None, "--json", help="Write all figures to this file."),
    predictions: Path = typer.Option(None, "--predictions", help="Write ranks and candidates, JSON Lines."),
    report: Path = typer.Option(None, "--report", help="Write an HTML page with figures, examples and errors."),
    settings: Changes = [],  # noqa: B006
    nil_threshold: float = typer.Option(
        None, "--nil-threshold", min=0, max=1, help="Say how good the answer none of these is from this probability on."
    ),
    candidates: str = typer.Option(
        None, "--candidates", help="Say how often flat, hnsw, faiss:FACTORY or certified links as exact scoring does."
    ),
    keep: int = typer.Option(
        20, "--keep", min=1, help="Candidates of each prediction. With 1 or 2, most entities need not be scored."
    ),
    features: Path = typer.Option(
        None, "--features", help="What `melder features` wrote of this data set, if the run's encoder is frozen."
    ),
    kb_features: Path = typer.Option(None, "--kb-features", help="The same of the data set that --kb names."),
    prior: Prior = False,
    coherence: Coherence = False,
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave malformed records and pictures out, and list them."),
) -> None:
    """Rank every mention of a split against the whole knowledge base, exactly.

    Prints hits and mean reciprocal rank with 95 % intervals beside the name-match baseline. Ties count with their
    mean rank; mentions without an answer in the knowledge base (NIL) are not counted.

    \b
    melder evaluate runs/wikimel --data data/wikimel --split dev
    melder evaluate runs/wikimel --data data/wikimel --kb data/union --json figures.json
    """
    from melder.evaluation.about import write_about
    from melder.evaluation.evaluate import EvaluationOptions, evaluate_run
    from melder.evaluation.predictions import write_predictions
    from melder.evaluation.report import write_report

    writable(json_file, predictions, report)
    unreadable = Unreadable() if skip_bad else None
    with counting() as start:
        result = evaluate_run(
            run,
            data,
            split,
            EvaluationOptions(
                knowledge_base=kb,
                skip_bad=skip_bad,
                changes=settings,
                nil_threshold=nil_threshold,
                candidates=candidates,
                kept=keep,
                features=features,
                kb_features=kb_features,
                prior=prior,
                coherence=coherence,
            ),
            counting=start,
            on_unreadable=unreadable,
        )
    _print(result.figures)
    if json_file is not None:
        _write(json_file, result.figures)
    if predictions is not None:
        write_predictions(predictions, result.predictions)
        write_about(predictions, run, result.figures)
        say(f"Predictions are in {predictions}")
    if report is not None:
        write_report(report, result.page())
        say(f"The report is in {report}")
    finish(result.skipped, list(unreadable.reasons.values()) if unreadable else [])


def _print(figures: dict[str, Any]) -> None:
    rows = {"name match": figures["name_match"], figures["method"]: figures}
    console.print(metrics_table(f"{figures['split']}, {figures['candidates']:,} candidates", rows))
    console.print(metrics_table("Slices", figures["slices"]))
    if "agreement" in figures:
        found = figures["agreement"]
        say(
            f"{found['candidates']}, {how_many(found['mentions'], 'mention')}: the best entity is that of exact "
            f"scoring in {found['top_1']:.1%}, {found['top_10']:.1%} of the best ten are found, "
            f"{found['scored']:.2%} of the pairs are scored"
        )
    if "nil" in figures:
        console.print(nil_table(figures["nil"]))
    if "searches" in figures:
        _print_counts(figures["searches"], figures["demonstrations"])
    if "without_second_stage" in figures:
        bare = figures["without_second_stage"]
        console.print(metrics_table("Without the second look", {"all": bare, **bare["slices"]}))
    if "without_demonstrations" in figures:
        bare = figures["without_demonstrations"]
        console.print(metrics_table("Without demonstrations", {"all": bare, **bare["slices"]}))


def _print_counts(searches: dict[str, int], demonstrations: dict[str, int]) -> None:
    """What a method that writes names has left out, if anything."""
    if searches["inexact"]:
        say(f"{how_many(searches['inexact'], 'mention')}: there may be better names than those that were found")
    if searches["not_found"]:
        say(in_number(NOT_FOUND, searches["not_found"]))
    if demonstrations["dropped"]:
        say(in_number(DROPPED, demonstrations["dropped"]))


def _write(path: Path, figures: dict[str, Any]) -> None:
    from melder.runs.directory import write_json

    write_json(path, figures)
    say(f"Figures are in {path}")
