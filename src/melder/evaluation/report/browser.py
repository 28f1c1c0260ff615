"""The error browser: what is taken for what, the errors, and the form that filters them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

from melder.evaluation.report.charts import BINS, bin_name
from melder.evaluation.report.figures import ReportSection, section
from melder.evaluation.report.gallery import CANDIDATE_SIDE, article
from melder.evaluation.report.markup import Markup, element, join
from melder.evaluation.report.page import ConfusedPair, Example, ReportPage, Shown
from melder.evaluation.report.thumbnails import Album

__all__ = ["confusions", "errors", "filter_form", "selection"]

Options = Iterable[tuple[str, str]]  # values and what the reader sees


def confusions(page: ReportPage, album: Album) -> ReportSection:
    """The pairs of entities, each with a button that shows its errors."""
    browsable = {example.confused for example in page.errors}
    rows = [
        _confusion(number, pair, album, {pair.first.id, pair.second.id} in browsable)
        for number, pair in enumerate(page.confused)
    ]
    explanation = "The entities that are answered for one another most often."
    pictured = any(shown.picture is not None for pair in page.confused for shown in (pair.first, pair.second))
    listed = element("ul", *rows, class_="confusions" if pictured else "confusions bare")
    return section("What is taken for what", explanation, listed)


def errors(page: ReportPage, album: Album) -> ReportSection:
    """The errors behind a form; without script all of them are shown and the form is not."""
    pairs = {frozenset((pair.first.id, pair.second.id)): str(n) for n, pair in enumerate(page.confused)}
    groups = {name: str(number) for number, name in enumerate(page.slices)}
    articles = [
        article(
            example,
            album,
            data_rank=str(ceil(example.rank or 0)),
            data_groups=" ".join(groups[name] for name in example.groups if name in groups),
            data_confusion=pairs.get(example.confused, ""),
        )
        for example in page.errors
    ]
    of = f"The {len(articles):,} surest of {page.wrong:,} wrong answers" if page.wrong > len(articles) else "All errors"
    explanation = f"{of}, the largest margin of the first score over the second first. A bar is what one unit adds."
    shown = element("div", *articles, class_="filtered")
    return section("Most confident errors", explanation, _form(page, groups, pairs), shown)


def filter_form(*selections: Markup) -> Markup:
    """A form of selections and a field for words; the script shows it and fills in how many articles are left."""
    words = element("label", "Words ", element("input", type="search", name="words", autocomplete="off"))
    buttons = element("div", element("button", "Show all", type="reset"), element("output"), class_="found")
    return element("form", *selections, words, buttons, id="filter", hidden="", aria_label="Filter the mentions below")


def selection(label: str, name: str, options: Options) -> Markup:
    """A labelled choice of one of the options, or of none."""
    listed = [element("option", text, value=value) for value, text in options]
    return element("label", f"{label} ", element("select", element("option", "any", value=""), *listed, name=name))


def _form(page: ReportPage, groups: dict[str, str], pairs: dict[frozenset[str], str]) -> Markup:
    present = {name for example in page.errors for name in example.groups}
    shown = {example.confused for example in page.errors}
    return filter_form(
        selection("Group", "group", ((number, name) for name, number in groups.items() if name in present)),
        selection("Right answer at rank", "rank", _rank_options(page.errors)),
        selection(
            "Taken for one another",
            "confusion",
            (
                (number, f"{_name(pair.first)} / {_name(pair.second)}")
                for (key, number), pair in zip(pairs.items(), page.confused, strict=True)
                if key in shown
            ),
        ),
    )


def _rank_options(examples: Sequence[Example]) -> Options:
    ranks = [ceil(example.rank or 0) for example in examples]
    for low, high in BINS:
        count = sum(low <= rank and (high is None or rank <= high) for rank in ranks)
        if count:
            yield f"{low} {high or ''}".strip(), f"{bin_name(low, high)} ({count:,})"


def _confusion(number: int, pair: ConfusedPair, album: Album, browsable: bool) -> Markup:
    pictures = [album.thumbnail(s.picture, f"Picture of {_name(s)}", CANDIDATE_SIDE) for s in (pair.first, pair.second)]
    back = f", the other way {pair.taken_back:,}\u00a0×" if pair.taken_back else ""
    words = [_strong(pair.first), " taken for ", _strong(pair.second), f" {pair.taken:,}\u00a0×{back}"]
    button = element("button", "Show", type="button", data_show=str(number), hidden="", aria_label=_aim(pair))
    return element("li", join(pictures), element("p", *words), *([button] if browsable else []))


def _aim(pair: ConfusedPair) -> str:
    return f"Show the errors between {_name(pair.first)} and {_name(pair.second)}"


def _strong(shown: Shown) -> Markup:
    return element("strong", _name(shown), dir="auto")


def _name(shown: Shown) -> str:
    return shown.name or shown.id
