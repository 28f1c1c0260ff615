"""The sections of a comparison of two systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from melder.evaluation.report.browser import filter_form, selection
from melder.evaluation.report.figures import ReportSection, figure_name, section, table
from melder.evaluation.report.gallery import candidates, mention, rank_text
from melder.evaluation.report.markup import Markup, element, join
from melder.evaluation.report.page import ComparisonPage, Contrast, Example
from melder.evaluation.report.thumbnails import Album

__all__ = ["comparison_sections", "p_text"]


def comparison_sections(page: ComparisonPage) -> list[ReportSection]:
    """Figures, who is right, and the mentions that one alone gets right."""
    sections = [_figures(page.comparison.figures), _counts(page)]
    return [*sections, _browser(page)] if page.only_a or page.only_b else sections


def p_text(p: float) -> str:
    """0.013, or that it is smaller than can be told apart."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _figures(figures: Mapping[str, Mapping[str, Any]]) -> ReportSection:
    rows = [
        (
            figure_name(name),
            f"{figure['a']:.3f}",
            f"{figure['b']:.3f}",
            join([f"{figure['difference']:+.3f} ", element("small", _interval(figure["difference_ci"]))]),
            _probability(figure["p"], figure["p_holm"]),
        )
        for name, figure in figures.items()
    ]
    explanation = (
        "In brackets, the paired 95 % bootstrap interval over the mentions; p of the two-sided sign-flip test, and "
        "as Holm adjusts it for the figures of this table."
    )
    return section("Scores", explanation, table(("Figure", "A", "B", "B − A", "p"), rows, "numbers"))


def _counts(page: ComparisonPage) -> ReportSection:
    comparison = page.comparison
    rows = [
        ("A right", f"{comparison.both:,}", f"{len(comparison.only_a):,}"),
        ("A wrong", f"{len(comparison.only_b):,}", f"{comparison.neither:,}"),
    ]
    explanation = "Mentions by whose first answer is the gold entity; a tie for the first place counts as wrong."
    return section("Who is right", explanation, table(("Mentions", "B right", "B wrong"), rows, "numbers"))


def _browser(page: ComparisonPage) -> ReportSection:
    album, comparison = Album(), page.comparison
    form = filter_form(selection("Right", "group", [("b", "only B"), ("a", "only A")]))
    articles = [_article(each, "B", album) for each in page.only_b] + [_article(e, "A", album) for e in page.only_a]
    explanation = (
        f"{len(page.only_b):,} of the {len(comparison.only_b):,} mentions that only B gets right, then "
        f"{len(page.only_a):,} of the {len(comparison.only_a):,} that only A does; those that the other ranks worst."
    )
    return section("Where one alone is right", explanation, form, element("div", *articles, class_="filtered"))


def _article(contrast: Contrast, right: str, album: Album) -> Markup:
    verdict = element("p", f"Only {right} is right: {contrast.a.answer}", class_="verdict")
    rankings = [_ranking(name, example, album) for name, example in (("A", contrast.a), ("B", contrast.b))]
    parts = [mention(contrast.a, album, verdict), element("div", *rankings, class_="rankings")]
    return element("article", *parts, data_groups=right.lower())


def _ranking(name: str, example: Example, album: Album) -> Markup:
    right = example.rank is not None and example.rank <= 1
    rank = "" if example.rank is None else f"{'✓' if right else '✗'} {name}: gold at rank {rank_text(example.rank)}"
    heading = element("h3", rank, class_="right" if right else "wrong")
    return element("div", heading, candidates(example.candidates, album))


def _probability(p: float, adjusted: float) -> Markup:
    return join([f"{p_text(p)} ", element("small", f"Holm {p_text(adjusted)}".replace(" ", "\u00a0"))])


def _interval(bounds: Sequence[float]) -> str:
    return f"[{bounds[0]:+.3f}, {bounds[1]:+.3f}]"
