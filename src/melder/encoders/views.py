"""Random views of a picture for training: crop, scale, rotation, light and colour, but no mirror images.

A mirrored flag or label is another flag or label, so flips are left out.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

__all__ = ["random_view"]

_AREA = (0.45, 1.0)  # part of the picture's area that a view shows
_ASPECT = 0.12  # largest change of the logarithm of width / height
_TURN = math.radians(12)
_LIGHT = 0.3  # largest relative change of brightness, contrast and saturation
_TINT = 0.08  # largest relative change of one colour channel
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601 luma
_BEYOND = (124, 116, 104)  # what a turned view shows outside the picture: the mean colour of photographs


def random_view(picture: np.ndarray, seed: int, size: int) -> np.ndarray:
    """A view of a picture at random: a pure function of picture and seed.

    Args:
        picture: [h, w, 3], uint8
        seed: at least 0
        size: of a side of the view, in pixels

    Returns:
        [size, size, 3], uint8
    """
    draw = np.random.default_rng(seed)
    height, width = picture.shape[:2]
    frame = Image.fromarray(picture).transform(
        (size, size),
        Image.Transform.AFFINE,
        _random_frame(draw, width, height, size),
        resample=Image.Resampling.BILINEAR,
        fillcolor=_BEYOND,
    )
    return _random_light(draw, np.asarray(frame, dtype=np.float32))


def _random_frame(draw: np.random.Generator, width: int, height: int, size: int) -> tuple[float, ...]:
    """Coefficients (a, b, c, d, e, f) of Pillow's map from the view to the picture: x' = ax + by + c, y' = …"""
    scale, stretch = math.sqrt(draw.uniform(*_AREA)), math.exp(draw.uniform(-_ASPECT, _ASPECT) / 2)
    wide, high = min(1.0, scale * stretch), min(1.0, scale / stretch)
    centre_x = width * (0.5 + draw.uniform(-0.5, 0.5) * (1 - wide))
    centre_y = height * (0.5 + draw.uniform(-0.5, 0.5) * (1 - high))
    turn = draw.uniform(-_TURN, _TURN)
    cosine, sine = math.cos(turn), math.sin(turn)
    step_x, step_y = width * wide / size, height * high / size
    a, b, d, e = cosine * step_x, -sine * step_x, sine * step_y, cosine * step_y
    half = size / 2
    return a, b, centre_x - (a + b) * half, d, e, centre_y - (d + e) * half


def _random_light(draw: np.random.Generator, view: np.ndarray) -> np.ndarray:
    brightness, contrast, saturation = draw.uniform(1 - _LIGHT, 1 + _LIGHT, 3).astype(np.float32)
    tint = draw.uniform(1 - _TINT, 1 + _TINT, 3).astype(np.float32)
    grey = (view @ _GREY)[..., None]
    view = (grey + (view - grey) * saturation) * (brightness * tint)
    mean = view.mean()
    varied: np.ndarray = np.clip(mean + (view - mean) * contrast, 0, 255).astype(np.uint8)
    return varied
