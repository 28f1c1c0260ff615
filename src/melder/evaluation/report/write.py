"""Writes the pages: which sections each has, and what their templates read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from melder.evaluation.report.charts import BINS, bin_name, rank_counts, unit_axis
from melder.evaluation.report.curves import charts
from melder.evaluation.report.document import write_document
from melder.evaluation.report.headlines import comparison_headline, p_text, report_headline
from melder.evaluation.report.page import ComparisonPage, ConfusedPair, ReportPage
from melder.evaluation.report.thumbnails import Album
from melder.io.counts import how_many
from melder.metrics.metrics import FIGURES
from melder.metrics.unit_margins import UnitMargin

__all__ = ["write_comparison", "write_report"]


@dataclass(frozen=True)
class ErrorMarks:
    """What the script filters an error by: numbers of the options of each choice."""

    rank: int
    groups: str
    pair: str


ASSETS: dict[str, Any] = {"styles": ("report.css",), "script": "report.js"}


def write_report(path: Path, page: ReportPage) -> None:
    """Write a report as one HTML file that needs nothing beside it.

    Args:
        path: Of the file.
        page: What it shows.
    """
    sections = {
        "Scores": ("scores.html", True),
        "What text and picture contribute": ("modalities.html", page.modalities),
        "Groups of mentions": ("slices.html", page.slices),
        "Where the right entity stands": ("ranks.html", True),
        "What each unit contributes": ("units.html", page.units),
        "None of these": ("reliability.html", page.nil),
        "What is taken for what": ("confusions.html", page.confused),
        "Examples": ("examples.html", page.examples),
        "Most confident errors": ("errors.html", page.errors),
        "How it was trained": ("training.html", page.training),
        "What was run": ("run.html", page.run),
    }
    write_document(
        path,
        "report.html",
        **ASSETS,
        page=page,
        title=page.title,
        summary=page.summary,
        album=Album(),
        figures=FIGURES,
        sections={heading: template for heading, (template, contents) in sections.items() if contents},
        headline=report_headline(page.metrics, page.name_match),
        counts=rank_counts(page.ranks),
        widest_margin=_widest_margin(page.units),
        charts=charts(page.training),
        unit_axis=unit_axis,
        **_filters(page),
    )


def write_comparison(path: Path, page: ComparisonPage) -> None:
    """Write a comparison as one HTML file that needs nothing beside it.

    Args:
        path: Of the file.
        page: What it shows.
    """
    examples = {"Where one alone is right": "contrasts.html"} if page.only_a or page.only_b else {}
    write_document(
        path,
        "comparison.html",
        **ASSETS,
        page=page,
        title="Melder comparison",
        album=Album(),
        summary=f"{how_many(len(page.comparison.first), 'mention')}, each answered by both.",
        sections={"Scores": "differences.html", "Who is right": "wins.html"} | examples,
        headline=comparison_headline(page.comparison),
        systems=dict(zip("AB", page.systems, strict=True)),
        p_text=p_text,
        unit_axis=unit_axis,
    )


def _widest_margin(units: Mapping[str, UnitMargin]) -> float:
    margins = (margin for unit in units.values() for margin in (unit.right, unit.wrong) if margin)
    return max(map(abs, margins), default=1.0)


def _filters(page: ReportPage) -> dict[str, Any]:
    """What the errors can be filtered by: the options of each choice, and the marks of each error."""
    groups = {name: str(number) for number, name in enumerate(page.slices)}
    pairs = {frozenset((pair.first.id, pair.second.id)): str(number) for number, pair in enumerate(page.confused)}
    marks = [
        ErrorMarks(
            rank=ceil(error.rank or 0),
            groups=" ".join(groups[name] for name in error.groups if name in groups),
            pair=pairs.get(error.confused, ""),
        )
        for error in page.errors
    ]
    present = {name for error in page.errors for name in error.groups}
    browsable = {mark.pair for mark in marks}
    options = {
        "groups": {number: name for name, number in groups.items() if name in present},
        "ranks": _ranks([mark.rank for mark in marks]),
        "pairs": {
            str(number): _pair_name(pair) for number, pair in enumerate(page.confused) if str(number) in browsable
        },
    }
    return {"marks": marks, "options": options}


def _ranks(ranks: list[int]) -> dict[str, str]:
    """The bins that hold an error, by their limits, and how many each holds."""
    counts = {(low, high): sum(low <= rank and (high is None or rank <= high) for rank in ranks) for low, high in BINS}
    return {
        f"{low} {high or ''}".strip(): f"{bin_name(low, high)} ({count:,})"
        for (low, high), count in counts.items()
        if count
    }


def _pair_name(pair: ConfusedPair) -> str:
    return f"{pair.first.name or pair.first.id} / {pair.second.name or pair.second.id}"
