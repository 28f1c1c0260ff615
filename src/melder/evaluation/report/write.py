"""Puts a report together and writes it."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from importlib.resources import files
from pathlib import Path

from melder.evaluation.report.figures import cards, facts, histogram, modalities, section, slices
from melder.evaluation.report.gallery import gallery
from melder.evaluation.report.markup import Markup, element
from melder.evaluation.report.page import ReportPage

__all__ = ["write_report"]


def write_report(path: Path, page: ReportPage) -> None:
    """Write `page` as one HTML file, UTF-8, pictures and style inside it.

    Its content security policy lets a browser fetch nothing and run nothing, whatever the records hold.
    """
    path.write_text(f"<!doctype html>\n{_document(page)}\n", encoding="utf-8", newline="\n")


def _document(page: ReportPage) -> Markup:
    return element("html", _head(page.title), element("body", element("main", *_sections(page))), lang="en")


def _head(title: str) -> Markup:
    style = files("melder.evaluation.report").joinpath("report.css").read_text(encoding="utf-8")
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(style)),
    )


def _policy(style: str) -> str:
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    allowed = f"img-src data:; style-src 'sha256-{digest}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _sections(page: ReportPage) -> list[Markup]:
    shown = [
        element("header", element("h1", page.title), element("p", page.summary), facts(page.run)),
        cards(page.metrics, page.name_match),
    ]
    if page.modalities:
        shown.append(modalities(page.modalities, page.name_match))
    if page.slices:
        shown.append(slices(page.slices))
    shown.append(histogram(page.ranks))
    if page.examples:
        explanation = "Candidates best first. A bar is what one unit adds to the score, on one scale in each example."
        shown.append(section("Examples", explanation, gallery(page.examples)))
    if page.errors:
        explanation = "Wrong answers with the largest margin of the first score over the second."
        shown.append(section("Most confident errors", explanation, gallery(page.errors)))
    return shown
