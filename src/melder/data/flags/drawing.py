"""Draws a flag from its geometry: a list of shapes, each a line such as `disc red .5 .5 .3`, painted in order.

A shape is its name, its colour or colours, then numbers. Places are fractions of the flag's width (x, from the
hoist) and height (y, from the top); radii and thicknesses are fractions of the height.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from melder.data.flags import outlines
from melder.data.flags.outlines import Points
from melder.records import MelderError

__all__ = ["PALETTE", "draw_flag"]

PALETTE = {
    "red": "#ce1126", "scarlet": "#e8202c", "crimson": "#9e1b32", "maroon": "#8a1538", "orange": "#f77f00",
    "saffron": "#ff9933", "gold": "#c8960c", "yellow": "#fcd116", "lime": "#4cab2c", "green": "#009a49",
    "forest": "#006a40", "teal": "#00a0b0", "sky": "#74acdf", "azure": "#0a7bc8", "blue": "#1240a4",
    "navy": "#0a2363", "white": "#ffffff", "black": "#000000", "grey": "#8c8c8c", "brown": "#7a4a21",
}  # fmt: skip
_SUPERSAMPLING = 4


@dataclass(frozen=True)
class Canvas:
    """An enlarged picture that shapes are painted on."""

    picture: Image.Image

    @property
    def width(self) -> int:
        return self.picture.width

    @property
    def height(self) -> int:
        return self.picture.height

    def area(self, colour: str, corners: Points) -> None:
        """Fill a polygon; corners [n, 2] are fractions of the flag."""
        ImageDraw.Draw(self.picture).polygon(
            [(x * self.width, y * self.height) for x, y in corners.tolist()], fill=colour
        )

    def figure(self, colour: str, outline: Points, x: float, y: float, radius: float) -> None:
        """Fill an outline about a place; the radius is a fraction of the height."""
        self.area(colour, np.array([x, y]) + outline * radius * np.array([self.height / self.width, 1.0]))

    def line(self, colour: str, x0: float, y0: float, x1: float, y1: float, thickness: float) -> None:
        """A band between two places, prolonged by its thickness at both ends so that corners are covered."""
        scale = np.array([self.width / self.height, 1.0])
        start, end = np.array([x0, y0]) * scale, np.array([x1, y1]) * scale
        along = (end - start) / np.linalg.norm(end - start) * thickness
        across = np.array([-along[1], along[0]]) / 2
        corners = [start - along + across, end + along + across, end + along - across, start - along - across]
        self.area(colour, np.array(corners) / scale)


Painter = Callable[[Canvas, Sequence[str], Sequence[float]], None]


def draw_flag(shapes: Sequence[str], ratio: float = 1.5, height: int = 96) -> Image.Image:
    """A flag as a picture.

    Args:
        shapes: In the order in which they are painted.
        ratio: Width over height.
        height: In pixels.

    Returns:
        In RGB.

    Raises:
        MelderError: A shape that has no painter, an unknown colour or too few numbers.
    """
    size = (round(height * ratio), height)
    large = Image.new("RGB", (size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING), "white")
    for shape in shapes:
        _paint(Canvas(large), shape)
    return large.resize(size, Image.Resampling.BOX)


def _paint(canvas: Canvas, shape: str) -> None:
    name, *words = shape.split()
    colours = [word for word in words if word[0].isalpha()]
    numbers = [word for word in words if not word[0].isalpha()]
    try:
        _PAINTERS[name](canvas, colours, [float(number) for number in numbers])
    except (KeyError, ValueError, IndexError, TypeError) as error:
        message = f"shape '{shape}' cannot be drawn ({error!r}): use a name, its colours, then all its numbers"
        raise MelderError(message) from error


def _corners(x0: float, y0: float, x1: float, y1: float) -> Points:
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def _stripes(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float], upright: bool) -> None:
    parts = [colour.partition("*") for colour in colours]
    edges = np.cumsum([0.0] + [float(weight or 1) for _, _, weight in parts])
    for (colour, _, _), start, end in zip(parts, edges[:-1] / edges[-1], edges[1:] / edges[-1], strict=True):
        corners = _corners(start, 0, end, 1) if upright else _corners(0, start, 1, end)
        canvas.area(PALETTE[colour], corners)


def _vertical(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    _stripes(canvas, colours, numbers, upright=True)


def _horizontal(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    _stripes(canvas, colours, numbers, upright=False)


def _field(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    canvas.area(PALETTE[colours[0]], _corners(0, 0, 1, 1))


def _box(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    canvas.area(PALETTE[colours[0]], _corners(*numbers))


def _polygon(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    canvas.area(PALETTE[colours[0]], np.array(numbers).reshape(-1, 2))


def _triangle(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    canvas.area(PALETTE[colours[0]], np.array([(0, 0), (numbers[0], 0.5), (0, 1)]))


def _cross(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    x, y, thickness = numbers
    canvas.line(PALETTE[colours[0]], x, 0, x, 1, thickness)
    canvas.line(PALETTE[colours[0]], 0, y, 1, y, thickness)


def _saltire(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    canvas.line(PALETTE[colours[0]], 0, 0, 1, 1, numbers[0])
    canvas.line(PALETTE[colours[0]], 0, 1, 1, 0, numbers[0])


def _band(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    x0, y0, x1, y1, thickness = numbers
    canvas.line(PALETTE[colours[0]], x0, y0, x1, y1, thickness)


def _ring(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    x, y, radius, thickness = numbers
    for ray in outlines.circle(40):
        _bead(canvas, colours[0], x, y, ray * radius, thickness / 2)


def _wreath(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    x, y, radius = numbers
    for ray in outlines.circle(24):
        if ray[1] > -0.6:  # open at the top
            _bead(canvas, colours[0], x, y, ray * radius, radius / 5)


def _bead(canvas: Canvas, colour: str, x: float, y: float, offset: Points, radius: float) -> None:
    place = (x + offset[0] * canvas.height / canvas.width, y + offset[1])
    canvas.figure(PALETTE[colour], outlines.circle(16), *place, radius)


def _star(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    x, y, radius, *kind = numbers
    canvas.figure(PALETTE[colours[0]], outlines.star(int(kind[0]) if kind else 5, *kind[1:]), x, y, radius)


def _stars(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    for x, y in np.array(numbers[1:]).reshape(-1, 2).tolist():
        canvas.figure(PALETTE[colours[0]], outlines.star(), x, y, numbers[0])


def _grid(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    radius, x0, y0, x1, y1, columns, rows = numbers
    for x in np.linspace(x0, x1, int(columns)):
        for y in np.linspace(y0, y1, int(rows)):
            canvas.figure(PALETTE[colours[0]], outlines.star(), x, y, radius)


def _sun(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    x, y, radius, rays = numbers
    canvas.figure(PALETTE[colours[0]], outlines.star(int(rays), inner=0.6), x, y, radius)


def _wheel(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    x, y, radius, spokes = numbers
    _ring(canvas, colours, [x, y, radius, radius / 5])
    canvas.figure(PALETTE[colours[0]], outlines.star(int(spokes), inner=0.15), x, y, radius)


def _crescent(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    x, y, radius, turn = numbers
    canvas.figure(PALETTE[colours[0]], outlines.crescent(turn), x, y, radius)


def _half(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    """The lower half of a disc."""
    x, y, radius = numbers
    outline = outlines.circle()
    canvas.figure(PALETTE[colours[0]], outline[outline[:, 1] >= 0], x, y, radius)


def _chequer(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    x, y, height, cells = numbers
    side, width = height / cells, height / cells * canvas.height / canvas.width
    for row in range(int(cells)):
        for column in range(row % 2, int(cells), 2):
            left, top = x + (column - cells / 2) * width, y - height / 2 + row * side
            canvas.area(PALETTE[colours[0]], _corners(left, top, left + width, top + side))


def _jack(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
    """The Union Jack; painted apart, so that its diagonals end at its own edges."""
    x0, y0, x1, y1 = numbers
    size = (round((x1 - x0) * canvas.width), round((y1 - y0) * canvas.height))
    canton = Image.new("RGB", size)
    for shape in ("field navy", "saltire white .2", "saltire red .08", "cross white .5 .5 .33", "cross red .5 .5 .2"):
        _paint(Canvas(canton), shape)
    canvas.picture.paste(canton, (round(x0 * canvas.width), round(y0 * canvas.height)))


def _figure(outline: Callable[[], Points]) -> Painter:
    def paint(canvas: Canvas, colours: Sequence[str], numbers: Sequence[float]) -> None:
        x, y, radius = numbers
        canvas.figure(PALETTE[colours[0]], outline(), x, y, radius)

    return paint


_PAINTERS: dict[str, Painter] = {
    "vertical": _vertical, "horizontal": _horizontal, "field": _field, "box": _box, "polygon": _polygon,
    "triangle": _triangle, "cross": _cross, "saltire": _saltire, "band": _band, "ring": _ring, "wreath": _wreath,
    "star": _star, "stars": _stars, "grid": _grid, "sun": _sun, "wheel": _wheel, "crescent": _crescent,
    "half": _half, "chequer": _chequer, "jack": _jack, "disc": _figure(outlines.circle),
    "shield": _figure(outlines.shield), "plus": _figure(outlines.plus), "eagle": _figure(outlines.eagle),
    "leaf": _figure(outlines.leaf), "tree": _figure(outlines.tree),
}  # fmt: skip
