"""Puts pages together and writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from melder.evaluation.report.browser import confusions, errors
from melder.evaluation.report.comparison import comparison_sections
from melder.evaluation.report.curves import curves
from melder.evaluation.report.document import write_document
from melder.evaluation.report.figures import (
    ReportSection,
    cards,
    contents,
    facts,
    histogram,
    modalities,
    section,
    slices,
    units,
)
from melder.evaluation.report.gallery import gallery
from melder.evaluation.report.markup import Markup, element
from melder.evaluation.report.page import ComparisonPage, ReportPage
from melder.evaluation.report.reliability import reliability
from melder.evaluation.report.thumbnails import Album

__all__ = ["write_comparison", "write_report"]


def write_report(path: Path, page: ReportPage) -> None:
    """Write `page` as one HTML file that needs nothing beside it."""
    header = element("header", element("h1", page.title), element("p", page.summary), facts(page.run))
    _write(path, page.title, header, _sections(page))


def write_comparison(path: Path, page: ComparisonPage) -> None:
    """Write `page` as one HTML file that needs nothing beside it."""
    title, (a, b) = "Melder comparison", page.comparison.names
    summary = f"{len(page.comparison.first):,} mentions, each answered by both."
    header = element("header", element("h1", title), element("p", summary), facts({"A": a, "B": b}))
    _write(path, title, header, comparison_sections(page))


def _write(path: Path, title: str, header: Markup, sections: Sequence[ReportSection]) -> None:
    write_document(path, title, [header, contents(sections), *(each.markup() for each in sections)])


def _sections(page: ReportPage) -> list[ReportSection]:
    album = Album()
    shown = [cards(page.metrics, page.name_match)]
    if page.modalities:
        shown.append(modalities(page.modalities, page.name_match))
    if page.slices:
        shown.append(slices(page.slices))
    shown.append(histogram(page.ranks))
    if page.units:
        shown.append(units(page.units))
    if page.nil:
        shown.append(reliability(page.nil))
    if page.confused:
        shown.append(confusions(page, album))
    if page.examples:
        explanation = "Candidates best first. A bar is what one unit adds to the score, on one scale in each example."
        shown.append(section("Examples", explanation, gallery(page.examples, album)))
    if page.errors:
        shown.append(errors(page, album))
    if page.training:
        shown.append(curves(page.training))
    return shown
