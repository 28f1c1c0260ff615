"""Examples: the sentence with its mention, the picture, the candidates, and what each unit said of them."""

from __future__ import annotations

from collections.abc import Iterable

from melder.evaluation.report.charts import bar
from melder.evaluation.report.markup import Markup, element, join
from melder.evaluation.report.page import Example, Shown
from melder.evaluation.report.thumbnails import thumbnail

__all__ = ["gallery"]

MENTION_SIDE, CANDIDATE_SIDE = 360, 112  # pixels: twice what a screen of ordinary density shows


def gallery(examples: Iterable[Example]) -> Markup:
    """An article an example."""
    return join(_article(example) for example in examples)


def _article(example: Example) -> Markup:
    picture = thumbnail(example.picture, f"Picture that goes with “{example.surface}”", MENTION_SIDE)
    ranked = [_candidate(candidate, example) for candidate in example.candidates]
    return element(
        "article",
        element("div", picture, element("p", _sentence(example), dir="auto"), _verdict(example), class_="mention"),
        element("ol", *ranked, class_="candidates"),
    )


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
    return element("p", f"✗ Right answer: {example.answer}", class_="verdict wrong")


def _candidate(candidate: Shown, example: Example) -> Markup:
    name = [element("strong", candidate.name, dir="auto"), " ", element("small", candidate.id)]
    gold = [" ", element("span", "gold", class_="badge")] if candidate.gold else []
    return element(
        "li",
        thumbnail(candidate.picture, f"Picture of {candidate.name}", CANDIDATE_SIDE),
        element("p", *name, *gold, class_="name"),
        element("p", element("small", "score "), f"{candidate.score:.3f}", class_="score"),
        element("dl", *_units(candidate, example), class_="units"),
        class_="gold" if candidate.gold else None,
    )


def _units(candidate: Shown, example: Example) -> list[Markup]:
    """A bar a unit, on one axis for the whole example; parts below zero go to the left."""
    parts = [0.0, *(part for shown in example.candidates for part in shown.units.values())]
    lowest, width = min(parts), (max(parts) - min(parts)) or 1.0
    return [
        element("div", element("dt", unit), element("dd", bar(-lowest / width, (part - lowest) / width), f"{part:.3f}"))
        for unit, part in candidate.units.items()
    ]
