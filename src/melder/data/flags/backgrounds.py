"""What stands behind and before a flag in a simulated photograph; arrays [height, width, 3] of values 0 to 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Picture", "background", "clouds", "occluder"]

Picture = NDArray[np.float32]

_SKIES = ((0.45, 0.62, 0.85), (0.72, 0.78, 0.84), (0.85, 0.66, 0.5), (0.25, 0.32, 0.45))
_GROUNDS = ((0.3, 0.42, 0.2), (0.42, 0.4, 0.38), (0.55, 0.47, 0.36), (0.25, 0.25, 0.28))


def background(random: np.random.Generator, height: int, width: int) -> Picture:
    """A sky over ground, over buildings, or over a crowd, or a blurred room; drawn anew for each generator.

    Args:
        random: By which it is drawn.
        height, width: In pixels.

    Returns:
        [height, width, 3], from 0 to 1.
    """
    scene = _sky(random, height, width)
    kind = random.integers(4)
    horizon = int(height * random.uniform(0.45, 0.9))
    if kind == 1:
        _build(random, scene, horizon)
    elif kind == 2:
        _gather(random, scene, horizon)
    elif kind == 3:
        scene = _room(random, height, width)
    if kind != 3:
        _lay_ground(random, scene, max(horizon, height // 2) if kind == 0 else int(height * 0.92))
    return scene


def clouds(random: np.random.Generator, height: int, width: int, cells: int) -> Picture:
    """Smooth noise.

    Args:
        random: By which it is drawn.
        height, width: In pixels.
        cells: About how many bumps there are on each side.

    Returns:
        [height, width], from 0 to 1.
    """
    coarse = Image.fromarray(random.integers(0, 256, (cells, cells), dtype=np.uint8))
    smooth = coarse.resize((width, height), Image.Resampling.BICUBIC)
    noise: Picture = np.asarray(smooth, dtype=np.float32) / np.float32(255)
    return noise


def occluder(random: np.random.Generator, height: int, width: int) -> tuple[Picture, Picture]:
    """A head and shoulders before the flag.

    Args:
        random: By which they are drawn.
        height, width: In pixels.

    Returns:
        Their cover [height, width], from 0 to 1, and their colour [3].
    """
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = height * random.uniform(0.1, 0.2)
    head_x, head_y = width * random.uniform(0.1, 0.9), height * random.uniform(0.7, 0.95)
    head = np.hypot(x - head_x, (y - head_y) * 0.8) - radius
    body = np.hypot((x - head_x) * 0.55, y - head_y - 2.4 * radius) - 1.3 * radius
    colour = random.uniform(0.05, 0.6) * np.array([1.0, 0.85, 0.75])
    return np.clip(0.5 - np.minimum(head, body), 0, 1).astype(np.float32), colour.astype(np.float32)


def _sky(random: np.random.Generator, height: int, width: int) -> Picture:
    top = np.array(_SKIES[random.integers(len(_SKIES))]) + random.normal(0, 0.04, 3)
    fade = np.linspace(0, random.uniform(0.2, 0.7), height)[:, None, None]
    cover = clouds(random, height, width, 5)[..., None] * random.uniform(0, 0.5)
    sky = top * (1 - fade) + 0.9 * fade
    return np.asarray(sky * (1 - cover) + 0.93 * cover, dtype=np.float32)


def _lay_ground(random: np.random.Generator, scene: Picture, horizon: int) -> None:
    colour = np.array(_GROUNDS[random.integers(len(_GROUNDS))], dtype=np.float32)
    height, width = scene.shape[:2]
    grain = 0.8 + 0.4 * clouds(random, height, width, 24)[horizon:, :, None]
    scene[horizon:] = colour * grain


def _build(random: np.random.Generator, scene: Picture, horizon: int) -> None:
    """House fronts with windows along the skyline."""
    left, width = 0, scene.shape[1]
    while left < width:
        right = left + int(random.integers(14, 40))
        top = int(horizon * random.uniform(0.35, 1.0))
        wall = random.uniform(0.3, 0.75) + random.uniform(-0.06, 0.06, 3)
        scene[top:, left:right] = wall
        scene[top + 4 :: 9, left + 3 : right - 2] = wall * 0.6
        left = right


def _gather(random: np.random.Generator, scene: Picture, horizon: int) -> None:
    """A crowd: spots of many muted colours."""
    height, width = scene.shape[:2]
    rows, columns = (height - horizon) // 5 + 2, width // 5 + 1
    people = random.uniform(0.1, 0.7, (rows, columns, 1)) + random.uniform(-0.12, 0.12, (rows, columns, 3))
    spots = Image.fromarray((np.clip(people, 0, 1) * 255).astype(np.uint8))
    smooth = spots.resize((width, height - horizon), Image.Resampling.BICUBIC)
    scene[horizon:] = np.asarray(smooth, dtype=np.float32) / 255


def _room(random: np.random.Generator, height: int, width: int) -> Picture:
    """A wall out of focus, lit from one side."""
    tone = random.uniform(0.2, 0.8) + random.uniform(-0.08, 0.08, 3)
    light = np.linspace(random.uniform(0.6, 1.2), random.uniform(0.6, 1.2), width)[None, :, None]
    stains = 0.85 + 0.3 * clouds(random, height, width, 4)[..., None]
    return np.clip(tone * light * stains, 0, 1).astype(np.float32)
