"""Simulated photographs of a flag: cloth that ripples, seen at an angle, near or far, in some light, by a poor lens.

A photograph is a function of the flag's drawing and a generator of random numbers. Flags are never mirrored, as
the side with the hoist tells some of them apart (Ireland and Côte d'Ivoire).
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

from melder.data.flags.backgrounds import Picture, background, occluder

__all__ = ["HEIGHT", "WIDTH", "photograph", "scene", "to_jpeg"]

WIDTH, HEIGHT = 160, 120


def photograph(flag: Image.Image, random: np.random.Generator) -> Image.Image:
    """A picture in which at least some part of a flag is seen.

    Args:
        flag: As it was drawn.
        random: By which the rest is drawn.

    Returns:
        In RGB, `WIDTH` by `HEIGHT` pixels.
    """
    view = background(random, HEIGHT, WIDTH)
    across, down, span = _view(random, flag.width / flag.height)
    across, down, shade = _ripple(random, across, down)
    cloth = _sample(flag, across, down, span) * shade[..., None]
    cover = _cover(across, down, span)[..., None]
    view = view * (1 - cover) + cloth * cover
    return _lens(random, _light(random, _before(random, view)))


def scene(random: np.random.Generator) -> Image.Image:
    """A picture in which no flag is seen.

    Args:
        random: By which it is drawn.

    Returns:
        In RGB, `WIDTH` by `HEIGHT` pixels.
    """
    return _lens(random, _light(random, _before(random, background(random, HEIGHT, WIDTH))))


def to_jpeg(picture: Image.Image, random: np.random.Generator) -> bytes:
    """The picture as a JPEG file of some quality between 55 and 90.

    Args:
        picture: In RGB.
        random: By which the quality is drawn.

    Returns:
        Of the file.
    """
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=int(random.integers(55, 91)))
    return buffer.getvalue()


def _before(random: np.random.Generator, view: Picture) -> Picture:
    """One time in four somebody stands before it all."""
    if random.random() >= 0.25:
        return view
    mask, colour = occluder(random, HEIGHT, WIDTH)
    return view * (1 - mask[..., None]) + colour * mask[..., None]


def _view(random: np.random.Generator, ratio: float) -> tuple[Picture, Picture, float]:
    """For each pixel its place on the flag (0 to 1 across and down), and the flag's height in pixels.

    One photograph in four is near and shows a part only; one in six is far.
    """
    kind = random.random()
    if kind < 0.25:
        span, loose = HEIGHT * random.uniform(0.85, 1.3), 0.4
    elif kind < 0.84:
        span, loose = HEIGHT * random.uniform(0.4, 0.75), 0.22
    else:
        span, loose = HEIGHT * random.uniform(0.25, 0.38), 0.3
    centre = np.array([WIDTH, HEIGHT]) / 2 + random.uniform(-loose, loose, 2) * (span * ratio * 0.75, span * 0.75)
    turn, squeeze = random.normal(0, 0.14), random.uniform(0.7, 1.0)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    x, y = x - centre[0], y - centre[1]
    x, y = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    tilt = random.normal(0, 0.13, 2) / span
    depth = np.maximum(1 + tilt[0] * x + tilt[1] * y, 0.3)  # perspective: a plane that leans away
    across, down = x / depth / (span * ratio * squeeze) + 0.5, y / depth / span + 0.5
    return across.astype(np.float32), down.astype(np.float32), span


def _ripple(random: np.random.Generator, across: Picture, down: Picture) -> tuple[Picture, Picture, Picture]:
    """Folds: two waves that displace the cloth, growing from the hoist to the fly, and the shade on their slopes."""
    shade = np.ones_like(across)
    for strength in (1.0, 0.5):
        waves, lean = random.uniform(0.8, 3.2) / strength, random.normal(0, 0.8)
        phase = 2 * np.pi * (waves * across + lean * down + random.random())
        height = strength * random.uniform(0.1, 1.0) * np.clip(0.3 + across, 0.3, 1.2)
        slope = height * np.cos(phase)
        shade = shade + 0.3 * slope
        down = down + 0.045 * height * np.sin(phase)
        across = across + 0.025 * slope
    return across, down, np.clip(shade, 0.35, 1.4)


def _sample(flag: Image.Image, across: Picture, down: Picture, span: float) -> Picture:
    """The cloth's colour at each pixel: the nearest pixel of a drawing, larger than seen, as the lens blurs anyway."""
    height = int(min(1.5 * span, flag.height)) + 1
    small = flag.resize((max(2, round(height * flag.width / flag.height)), height), Image.Resampling.BOX)
    values = np.asarray(small, dtype=np.float32).reshape(-1, 3) / 255
    column = np.clip(across * small.width, 0, small.width - 1).astype(np.intp)
    row = np.clip(down * small.height, 0, small.height - 1).astype(np.intp)
    return np.take(values, row * small.width + column, axis=0)


def _cover(across: Picture, down: Picture, span: float) -> Picture:
    """How much of each pixel the flag covers, 0 to 1, with an edge of one pixel."""
    inside = np.minimum(np.minimum(across, 1 - across), np.minimum(down, 1 - down))
    return np.clip(inside * span + 0.5, 0, 1)


def _light(random: np.random.Generator, scene: Picture) -> Picture:
    """Exposure, contrast, a colour cast, haze, and darker corners."""
    exposure, contrast = random.uniform(0.65, 1.2), random.uniform(0.7, 1.1)
    cast = 1 + random.normal(0, 0.07, 3).astype(np.float32)
    haze = random.uniform(0, 0.18)
    x, y = np.linspace(-1, 1, WIDTH, dtype=np.float32), np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None]
    corners = 1 - random.uniform(0, 0.2) * (x**2 + y**2)
    lit = ((scene - 0.5) * contrast + 0.5) * exposure * cast * corners[..., None]
    return np.asarray(lit * (1 - haze) + 0.75 * haze, dtype=np.float32)


def _lens(random: np.random.Generator, scene: Picture) -> Image.Image:
    """Blur, then the sensor's noise."""
    sharp = Image.fromarray((np.clip(scene, 0, 1) * 255).astype(np.uint8))
    blurred = np.asarray(sharp.filter(ImageFilter.GaussianBlur(random.uniform(0.4, 1.6))), dtype=np.float32)
    noise = random.standard_normal((HEIGHT, WIDTH, 3), dtype=np.float32) * random.uniform(1, 9)
    return Image.fromarray(np.clip(blurred + noise, 0, 255).astype(np.uint8))
