"""The words of a text and the patches of a picture, as things that can be coloured and chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from melder.linking.evidence import Read

__all__ = ["Patch", "Segment", "patch_name", "patches", "segments"]


class Segment(NamedTuple):
    """A piece of a text: a word by its number, what lies between words (no number), or what was cut off."""

    text: str
    word: int | None = None
    classes: str = ""


class Patch(NamedTuple):
    """A rectangle of a picture; its left upper corner and its size in shares of the picture."""

    name: str
    x: float
    y: float
    width: float
    height: float


def segments(read: Read) -> Iterator[Segment]:
    """The text that was read, cut into words and what lies between them.

    Args:
        read: The text, and where words, the name and the mention are in it.

    Yields:
        The whole text in order; the name is `head`, the mention `meant`, and what was cut off `unread`.
    """
    before = 0
    for number, (start, end) in enumerate(read.words):
        meant = read.span is not None and start < read.span[1] and read.span[0] < end
        yield Segment(read.text[before:start])
        yield Segment(
            read.text[start:end], number, " ".join(["word", *["head"] * (start < read.head), *["meant"] * meant])
        )
        before = end
    if read.text[before:].strip():
        yield Segment(read.text[before:], None, "unread")


def patches(grid: tuple[int, int]) -> list[Patch]:
    """The patches of a grid of rows and columns, row by row.

    Args:
        grid: How many rows and columns.

    Returns:
        With places in shares of the picture.
    """
    rows, columns = grid
    return [
        Patch(patch_name(place, grid), column / columns, row / rows, 1 / columns, 1 / rows)
        for place, (row, column) in enumerate(divmod(place, columns) for place in range(rows * columns))
    ]


def patch_name(place: int, grid: tuple[int, int]) -> str:
    """Counted from 1, from the top and from the left.

    Args:
        place: Of the patch, row by row from 0 on.
        grid: How many rows and columns.

    Returns:
        In words.
    """
    row, column = divmod(place, grid[1])
    return f"row {row + 1}, column {column + 1}"
