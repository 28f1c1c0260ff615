"""Outlines of the figures on flags: arrays of points [n, 2] about a centre, lengths in units of the radius.

The x axis points to the fly, the y axis down, as in a picture; angles are in degrees, clockwise from the fly.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Points", "circle", "crescent", "eagle", "leaf", "plus", "shield", "star", "tree"]

Points = NDArray[np.float64]

_HALF_EAGLE = (
    (0.0, -0.55), (0.1, -0.95), (0.32, -0.9), (0.22, -0.62), (0.4, -0.45), (0.6, -0.8), (0.95, -0.6), (0.8, -0.35),
    (0.98, -0.1), (0.72, -0.05), (0.85, 0.3), (0.5, 0.2), (0.35, 0.45), (0.55, 0.75), (0.3, 0.68), (0.0, 1.0),
)  # fmt: skip
_HALF_LEAF = (
    (0.0, -1.0), (0.2, -0.62), (0.38, -0.7), (0.3, -0.2), (0.55, -0.42), (0.62, -0.28), (0.92, -0.33), (0.82, -0.05),
    (0.95, 0.05), (0.5, 0.42), (0.55, 0.58), (0.05, 0.5), (0.07, 1.0),
)  # fmt: skip
_HALF_TREE = (
    (0.0, -1.0), (0.35, -0.45), (0.2, -0.45), (0.6, 0.05), (0.35, 0.05), (0.85, 0.6), (0.12, 0.6), (0.12, 1.0),
)  # fmt: skip


def circle(count: int = 64) -> Points:
    """The unit circle.

    Args:
        count: Corners.

    Returns:
        [count, 2].
    """
    return _polar(np.linspace(0, 2 * math.pi, count, endpoint=False), np.ones(count))


def star(points: int = 5, turn: float = 0.0, inner: float = 0.382) -> Points:
    """A star.

    Args:
        points: Rays.
        turn: Degrees from where the first ray points up.
        inner: The radius of its notches; that of its rays is 1.

    Returns:
        [2 * points, 2].
    """
    angles = np.arange(2 * points) * math.pi / points - math.pi / 2 + math.radians(turn)
    return _polar(angles, np.where(np.arange(2 * points) % 2, inner, 1.0))


def crescent(turn: float = 0.0, inner: float = 0.8, shift: float = 0.3) -> Points:
    """The unit disc less another disc.

    Args:
        turn: Degrees; 0 opens to the fly, 90 opens upwards.
        inner: The radius of the other disc.
        shift: How far its centre lies towards the opening.

    Returns:
        [corners, 2].
    """
    outer_angle = math.acos((1 + shift**2 - inner**2) / (2 * shift))
    inner_angle = math.atan2(math.sin(outer_angle), math.cos(outer_angle) - shift)
    outside = np.linspace(outer_angle, 2 * math.pi - outer_angle, 48)
    inside = np.linspace(2 * math.pi - inner_angle, inner_angle, 48)
    hollow = _polar(inside, np.full(48, inner)) + np.array([shift, 0.0])
    return _turned(np.concatenate([_polar(outside, np.ones(48)), hollow]), -turn)


def shield() -> Points:
    """A shield two units high: straight at the top, round at the foot.

    Returns:
        [corners, 2].
    """
    foot = _polar(np.linspace(0, math.pi, 24), np.ones(24)) * (0.8, 0.9) + (0.0, 0.1)
    return np.concatenate([[(-0.8, -1.0), (0.8, -1.0)], foot])


def plus(arm: float = 0.3) -> Points:
    """A Greek cross two units high.

    Args:
        arm: Half of how thick its arms are.

    Returns:
        [corners, 2].
    """
    corner = np.array([(arm, -1.0), (arm, -arm), (1.0, -arm)])
    return np.concatenate([_turned(corner, 90.0 * quarter) for quarter in range(4)])


def eagle() -> Points:
    """A bird with spread wings, simplified.

    Returns:
        [corners, 2].
    """
    return _mirrored(_HALF_EAGLE)


def leaf() -> Points:
    """A maple leaf on its stalk, simplified.

    Returns:
        [corners, 2].
    """
    return _mirrored(_HALF_LEAF)


def tree() -> Points:
    """A cedar or a palm, simplified: three tiers on a trunk.

    Returns:
        [corners, 2].
    """
    return _mirrored(_HALF_TREE)


def _polar(angles: Points, radii: Points) -> Points:
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _turned(points: Points, degrees: float) -> Points:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned: Points = points @ np.array([[cosine, sine], [-sine, cosine]])
    return turned


def _mirrored(half: tuple[tuple[float, float], ...]) -> Points:
    right = np.array(half)
    return np.concatenate([right, right[::-1] * (-1.0, 1.0)])
