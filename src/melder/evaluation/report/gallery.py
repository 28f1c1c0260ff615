"""Examples: the sentence with its mention, the picture, the candidates, and what each unit said of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from melder.evaluation.report.charts import bar
from melder.evaluation.report.markup import Markup, element, join
from melder.evaluation.report.page import Example, Shown
from melder.evaluation.report.thumbnails import Album

__all__ = ["CANDIDATE_SIDE", "MENTION_SIDE", "article", "candidates", "gallery", "mention", "rank_text", "unit_bars"]

MENTION_SIDE, CANDIDATE_SIDE = 360, 112  # pixels: twice what a screen of ordinary density shows


def gallery(examples: Iterable[Example], album: Album) -> Markup:
    """An article an example."""
    return join(article(example, album) for example in examples)


def article(example: Example, album: Album, **attributes: str) -> Markup:
    """A mention and its candidates."""
    parts = [mention(example, album, _verdict(example)), candidates(example.candidates, album)]
    return element("article", *parts, **attributes)


def mention(example: Example, album: Album, *verdict: Markup) -> Markup:
    """The picture, the sentence with its mention, the verdict and the id."""
    picture = album.thumbnail(example.picture, f"Picture that goes with “{example.surface}”", MENTION_SIDE)
    identity = [element("small", f"mention {example.id}")] if example.id else []
    return element("div", picture, element("p", _sentence(example), dir="auto"), *verdict, *identity, class_="mention")


def candidates(shown: Sequence[Shown], album: Album) -> Markup:
    """The candidates, best first; their units on one scale."""
    return element("ol", *(_candidate(candidate, shown, album) for candidate in shown), class_="candidates")


def rank_text(rank: float) -> str:
    """7 or 7.5: a half tells of a tie."""
    return f"{rank:,.1f}".removesuffix(".0")


def _sentence(example: Example) -> Markup:
    if example.start is None or example.end is None:
        return join([element("mark", example.surface), f" — {example.text}" if example.text else ""])
    marked = element("mark", example.text[example.start : example.end])
    return join([example.text[: example.start], marked, example.text[example.end :]])


def _verdict(example: Example) -> Markup:
    if example.answer is None:
        return element("p", "Right answer: none of the entities (NIL)", class_="verdict")
    if example.candidates and example.candidates[0].gold:
        return element("p", f"✓ Linked to {example.answer}", class_="verdict right")
    rank = "" if example.rank is None else f", at rank {rank_text(example.rank)}"
    return element("p", f"✗ Right answer: {example.answer}{rank}", class_="verdict wrong")


def _candidate(candidate: Shown, all_shown: Sequence[Shown], album: Album) -> Markup:
    name: list[str] = [element("strong", candidate.name or candidate.id, dir="auto")]
    name += [" ", element("small", candidate.id)] if candidate.name not in ("", candidate.id) else []
    name += [" ", element("span", "gold", class_="badge")] if candidate.gold else []
    name += [" ", element("small", f"at rank {rank_text(candidate.rank)}")] if candidate.rank is not None else []
    score = "" if candidate.score is None else join([element("small", "score "), f"{candidate.score:.3f}"])
    units = [unit_bars(candidate.units, [shown.units for shown in all_shown])] if candidate.units else []
    return element(
        "li",
        album.thumbnail(candidate.picture, f"Picture of {candidate.name}", CANDIDATE_SIDE),
        element("p", *name, class_="name"),
        element("p", score, class_="score"),
        *units,
        class_="gold" if candidate.gold else None,
    )


def unit_bars(units: Mapping[str, float], of_all: Iterable[Mapping[str, float]]) -> Markup:
    """A bar a unit, on one axis with the units `of_all` candidates; parts below zero go to the left."""
    parts = [0.0, *(part for each in of_all for part in each.values())]
    lowest, width = min(parts), (max(parts) - min(parts)) or 1.0
    bars = [
        element(
            "div",
            element("dt", unit.replace("_", " ")),
            element("dd", bar(-lowest / width, (part - lowest) / width), f"{part:.3f}"),
        )
        for unit, part in units.items()
    ]
    return element("dl", *bars, class_="units")
