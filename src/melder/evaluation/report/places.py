"""The words of a text and the patches of a picture as things that can be coloured and chosen.

Each has `data-heat`, its level of colour at rest, and `data-place`; those of an entity have `data-to`, their weights
to those of the mention in ten-thousandths, which the page's script reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from melder.evaluation.report.markup import Markup, element, join
from melder.linking.evidence import Read

__all__ = ["Marks", "patch_name", "patches", "words"]

Rows = Sequence[Sequence[float]]
Marks = dict[int, int]  # numbers written on patches, by patch


def words(read: Read, heat: Sequence[int], weights: Rows = ()) -> Markup:
    """The text that was read, its name in bold, the mention underlined, and what was cut off in grey."""
    return element("p", *_text(read, heat, weights), class_="places words", dir="auto")


def patches(grid: tuple[int, int], heat: Sequence[int], marks: Marks, weights: Rows = ()) -> Markup:
    """A layer to lay over a picture: a rectangle a patch, and numbers on some of them."""
    rects = [_patch(place, grid, level, weights) for place, level in enumerate(heat)]
    numbers = [_number(place, grid, number) for place, number in marks.items()]
    shape = {"width": "100%", "height": "100%", "data_columns": str(grid[1]), "aria_hidden": "true"}
    return element("svg", *rects, *numbers, class_="places patches", **shape)


def patch_name(place: int, grid: tuple[int, int]) -> str:
    """Counted from 1, from the top and from the left."""
    row, column = divmod(place, grid[1])
    return f"row {row + 1}, column {column + 1}"


def _text(read: Read, heat: Sequence[int], weights: Rows) -> Iterator[str]:
    before = 0
    for place, ((start, end), level) in enumerate(zip(read.words, heat, strict=True)):
        yield read.text[before:start]
        yield element(
            "span",
            read.text[start:end],
            class_=_class(read, start, end),
            data_place=str(place),
            data_heat=str(level),
            data_to=_to(weights, place),
        )
        before = end
    if read.text[before:].strip():
        yield element("span", read.text[before:], class_="unread")


def _class(read: Read, start: int, end: int) -> str:
    head, meant = start < read.head, _overlaps(read.span, start, end)
    return " ".join(["word", *["head"] * head, *["meant"] * meant])


def _overlaps(span: tuple[int, int] | None, start: int, end: int) -> bool:
    return span is not None and start < span[1] and span[0] < end


def _patch(place: int, grid: tuple[int, int], level: int, weights: Rows) -> Markup:
    (x, y), (width, height) = _corner(place, grid), (1 / grid[1], 1 / grid[0])
    return element(
        "rect",
        x=_share(x),
        y=_share(y),
        width=_share(width),
        height=_share(height),
        aria_label=patch_name(place, grid),
        data_place=str(place),
        data_heat=str(level),
        data_to=_to(weights, place),
    )


def _number(place: int, grid: tuple[int, int], number: int) -> Markup:
    """In the middle of its patch."""
    x, y = _corner(place, grid)
    middle = {"x": _share(x + 0.5 / grid[1]), "y": _share(y + 0.5 / grid[0])}
    return join([element("circle", cx=middle["x"], cy=middle["y"], r="9"), element("text", str(number), **middle)])


def _corner(place: int, grid: tuple[int, int]) -> tuple[float, float]:
    row, column = divmod(place, grid[1])
    return column / grid[1], row / grid[0]


def _share(value: float) -> str:
    return f"{100 * value:.3f}%"


def _to(weights: Rows, place: int) -> str | None:
    return " ".join(str(round(10_000 * weight)) for weight in weights[place]) if weights else None
