"""`melder compare`"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from melder.cli.console import console, finish, say, writable
from melder.io.counts import how_many
from melder.records import BadRecord, MelderError

if TYPE_CHECKING:
    from melder.data import DataSet
    from melder.evaluation.comparison import Comparison
    from melder.evaluation.report import ComparisonPage, Contrast, Example, Shown

__all__ = ["compare"]

CANDIDATES = 3  # of each ranking on the terminal; the page shows more


def compare(
    a: Path = typer.Argument(metavar="A.jsonl", help="Predictions of a system, from `melder evaluate --predictions`."),
    b: Path = typer.Argument(metavar="B.jsonl", help="Predictions of another, for the same mentions."),
    data: Path = typer.Option(None, "--data", help="Their data set, to show texts, names and pictures."),
    kb: Path = typer.Option(None, "--kb", help="The data set of the candidates, where it was another."),
    html: Path = typer.Option(None, "--html", help="Write a page with figures and examples."),
    json_file: Path = typer.Option(None, "--json", help="Write figures and ids to this file."),
    examples: int = typer.Option(5, "--examples", min=0, help="Mentions to show that one alone gets right, of each."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave malformed records of --data out, and list them."),
) -> None:
    """Compare two systems mention by mention: differences, whether they could be chance, and who wins where.

    Differences are B − A, with paired 95 % bootstrap intervals over the mentions; p is that of a two-sided
    sign-flip test.

    \b
    melder evaluate runs/text --data data/grocery --predictions text.jsonl
    melder evaluate runs/both --data data/grocery --predictions both.jsonl
    melder compare text.jsonl both.jsonl --data data/grocery --html comparison.html
    """
    from melder.evaluation.about import read_about
    from melder.evaluation.comparison import compare as compare_rows
    from melder.evaluation.predictions import read_predictions
    from melder.evaluation.report import comparison_page, write_comparison

    if kb is not None and data is None:
        raise MelderError("--kb goes with --data; give both")
    writable(html, json_file)
    comparison = compare_rows(read_predictions(a), read_predictions(b), (str(a), str(b)))
    dataset, base = (None if path is None else _open(path, skip_bad) for path in (data, kb))
    page = comparison_page(comparison, examples, dataset, base, (read_about(a), read_about(b)))
    _print(page)
    if json_file is not None:
        _write(json_file, comparison)
    if html is not None:
        write_comparison(html, page)
        say(f"The page is in {html}")
    finish([record for each in (dataset, base) for record in _skipped(each)])


def _open(directory: Path, skip_bad: bool) -> DataSet:
    from melder.data import load

    return load(directory, skip_bad=skip_bad)


def _skipped(dataset: DataSet | None) -> Sequence[BadRecord]:
    return [] if dataset is None else dataset.skipped


def _write(path: Path, comparison: Comparison) -> None:
    from melder.runs.directory import write_json

    write_json(path, comparison.as_json())
    say(f"Figures are in {path}")


def _print(page: ComparisonPage) -> None:
    from melder.evaluation.report import comparison_headline

    comparison = page.comparison
    console.print(Text(comparison_headline(comparison).text, style="bold"))
    for letter, system in zip("AB", page.systems, strict=True):
        console.print(Text(f"{letter} = {system.name}" + (f" ({system.origin})" if system.origin else "")))
    console.print(_figures(comparison.figures, len(comparison.first)))
    only_a, only_b = len(comparison.only_a), len(comparison.only_b)
    console.print(
        f"Right: both {comparison.both:,}, only A {only_a:,}, only B {only_b:,}, neither {comparison.neither:,}"
    )
    for name, contrasts in (("B", page.only_b), ("A", page.only_a)):
        for contrast in contrasts:
            console.print()
            console.print(_rankings(contrast, name))


def _figures(figures: Mapping[str, Mapping[str, Any]], mentions: int) -> Table:
    """In percent, as every table of Melder's commands."""
    from melder.evaluation.report import p_text

    table = Table(title=how_many(mentions, "mention"), title_justify="left")
    table.add_column("")
    for heading in ("A", "B", "B − A", "95 %", "p", "p, Holm"):
        table.add_column(heading, justify="right")
    for name, figure in figures.items():
        low, high = figure["difference_ci"]
        table.add_row(
            name.replace("hits", "H").upper(),
            f"{100 * figure['a']:.1f}",
            f"{100 * figure['b']:.1f}",
            f"{100 * figure['difference']:+.1f}",
            f"{100 * low:+.1f} to {100 * high:+.1f}",
            p_text(figure["p"]),
            p_text(figure["p_holm"]),
        )
    return table


def _rankings(contrast: Contrast, right: str) -> Table:
    """Both rankings side by side under the sentence, its mention in bold; Text: nothing in records is markup."""
    table = Table(title=_title(contrast.a, right), title_justify="left", title_style="")
    table.add_column("")
    for name, example in (("A", contrast.a), ("B", contrast.b)):
        table.add_column(f"{name}: gold at rank {example.rank:g}", overflow="fold")
    for place in range(CANDIDATES):
        row = [example.candidates[place : place + 1] for example in (contrast.a, contrast.b)]
        if any(row):
            table.add_row(str(place + 1), *(_candidate(each[0]) if each else "" for each in row))
    return table


def _title(example: Example, right: str) -> Text:
    title = Text(f"Only {right} is right, mention {example.id}: ")
    if example.start is None or example.end is None:
        title.append(example.surface, style="bold").append(f" {example.text}" if example.text else "")
    else:
        title.append(example.text[: example.start]).append(example.text[example.start : example.end], style="bold")
        title.append(example.text[example.end :])
    title.append(f"\nright answer: {example.answer}")
    return title.append(f", picture {example.picture}") if isinstance(example.picture, Path) else title


def _candidate(shown: Shown) -> Text:
    names = [shown.id] if shown.name in ("", shown.id) else [shown.name, f"({shown.id})"]
    text = Text(" ".join([*names, f"{shown.score:.2f}"]))
    return text.append(" ✓", style="green") if shown.gold else text
