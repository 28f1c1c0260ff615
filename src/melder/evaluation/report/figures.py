"""The sections with figures: cards, modalities, slices, ranks, units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from melder.evaluation.report.charts import bar, rank_counts
from melder.evaluation.report.markup import Markup, element, join
from melder.metrics.metrics import FIGURES, Metrics
from melder.metrics.unit_margins import UnitMargin
from melder.records import Ranks

__all__ = [
    "ReportSection",
    "cards",
    "contents",
    "facts",
    "figure_name",
    "histogram",
    "modalities",
    "section",
    "slices",
    "table",
    "units",
]

NAMES = {"mrr": "MRR", "mr": "Mean rank"}


@dataclass(frozen=True)
class ReportSection:
    """A headed part of the page, which the table of contents leads to."""

    heading: str
    explanation: str
    contents: tuple[Markup, ...]

    @property
    def anchor(self) -> str:
        return self.heading.lower().replace(" ", "-")

    def markup(self) -> Markup:
        parts = [element("h2", self.heading), element("p", self.explanation, class_="note"), *self.contents]
        return element("section", *parts, id=self.anchor)


def section(heading: str, explanation: str, *contents: Markup) -> ReportSection:
    """A section of anything."""
    return ReportSection(heading, explanation, contents)


def contents(sections: Iterable[ReportSection]) -> Markup:
    """Links to the sections."""
    links = [element("a", each.heading, href=f"#{each.anchor}") for each in sections]
    return element("nav", *links, aria_label="Sections")


def facts(run: Mapping[str, str]) -> Markup:
    """What was run, as a list of names and values."""
    rows = [element("div", element("dt", name), element("dd", value)) for name, value in run.items()]
    return element("dl", *rows, class_="facts")


def cards(metrics: Metrics, name_match: Metrics) -> ReportSection:
    """A card a figure, with its interval, and the baseline's beneath."""
    explanation = (
        f"{metrics['mentions']:,} mentions, ranked against {metrics['candidates']:,} candidates. In brackets, "
        "95 % intervals over the mentions. Name match compares nothing but the character n-grams of names."
    )
    listed = [_card(figure, metrics, name_match) for figure in FIGURES]
    return section("Scores", explanation, element("ul", *listed, class_="cards"))


def modalities(by_input: Mapping[str, Metrics], name_match: Metrics) -> ReportSection:
    """A bar chart of hits@1 by what the linker was given."""
    rows = [_bar_row(name, metrics, "bar") for name, metrics in by_input.items()]
    baseline = _bar_row("name match", name_match, "bar other")
    explanation = "Hits@1 with parts of the input taken away; the line over a bar is the 95 % interval."
    drawn = table(("Input", "", "Hits@1"), [*rows, baseline], "bars")
    return section("What text and picture contribute", explanation, drawn)


def slices(groups: Mapping[str, Metrics]) -> ReportSection:
    """A table of the groups of mentions."""
    rows = [
        (
            name,
            f"{metrics['mentions']:,}",
            *(_with_interval(figure, metrics) for figure in ("hits@1", "hits@10", "mrr")),
        )
        for name, metrics in groups.items()
    ]
    heads = ("Group", "Count", "Hits@1", "Hits@10", "MRR")
    return section(
        "Groups of mentions",
        "Pairs of groups, each of which parts the mentions in two; in brackets, 95 % intervals.",
        table(heads, rows, "numbers"),
    )


def histogram(ranks: Ranks) -> ReportSection:
    """A bar chart of how many gold entities have which rank."""
    counts = rank_counts(ranks)
    most = max(1, *counts.values())
    rows = [
        (name, bar(0, count / most), join([f"{count:,} ", element("small", f"{count / len(ranks):.1%}")]))
        for name, count in counts.items()
    ]
    explanation = "The rank of the right entity, best is 1; the mean of the tied ranks, rounded up, in a tie."
    return section("Where the right entity stands", explanation, table(("Rank", "", "Mentions"), rows, "bars"))


def units(margins: Mapping[str, UnitMargin]) -> ReportSection:
    """A table of what each unit sets the gold entity above its strongest rival by."""
    most = max(abs(value) for each in margins.values() for value in (each.right or 0.0, each.wrong or 0.0)) or 1.0
    rows = [
        (
            name.replace("_", " "),
            join([f"{each.prefers:.1%} ", element("small", f"[{each.prefers_ci[0]:.1%}, {each.prefers_ci[1]:.1%}]")]),
            _margin(each.right, most),
            _margin(each.wrong, most),
        )
        for name, each in margins.items()
    ]
    explanation = (
        "How often a unit gives the right entity more than its strongest rival (a tie counts half; in brackets, the "
        "95 % interval), and by how much on average, in the score's own scale, where the answer is right and where "
        f"it is wrong. {next(iter(margins.values())).mentions:,} mentions, those whose right entity is among the "
        "candidates kept."
    )
    heads = ("Unit", "Prefers the right entity", "Margin, answer right", "Margin, answer wrong")
    return section("What each unit contributes", explanation, table(heads, rows, "numbers"))


def figure_name(figure: str) -> str:
    """Hits@1, MRR, Mean rank."""
    return NAMES.get(figure, figure.capitalize())


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], class_: str) -> Markup:
    """A table whose first column heads the rows; a column with an empty head holds bars, for the eye only."""
    top = [element("th", head, scope="col") if head else element("td", class_="drawn") for head in heads]
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])) for row in rows
    ]
    return element("table", element("thead", element("tr", *top)), element("tbody", *body), class_=class_)


def _bar_row(name: str, metrics: Metrics, class_: str) -> tuple[str, Markup, Markup]:
    drawn = bar(0, metrics["hits@1"], metrics["hits@1_ci"], class_)
    return name, drawn, _with_interval("hits@1", metrics)


def _margin(value: float | None, most: float) -> Markup:
    """A number over a bar that starts in the middle."""
    return Markup("–") if value is None else join([f"{value:+.2f}", bar(0.5, 0.5 + value / most / 2)])


def _card(figure: str, metrics: Metrics, name_match: Metrics) -> Markup:
    return element(
        "li",
        element("h3", figure_name(figure)),
        element("p", _number(figure, metrics[figure]), class_="value"),
        element("p", _interval(figure, metrics), class_="range"),
        element("p", "name match ", _with_interval(figure, name_match), class_="baseline"),
    )


def _with_interval(figure: str, metrics: Metrics) -> Markup:
    return join([_number(figure, metrics[figure]), " ", element("small", _interval(figure, metrics))])


def _interval(figure: str, metrics: Metrics) -> str:
    low, high = metrics[f"{figure}_ci"]
    return f"[{_number(figure, low)}, {_number(figure, high)}]"


def _number(figure: str, value: float) -> str:
    return f"{value:,.1f}" if figure == "mr" else f"{value:.3f}"
