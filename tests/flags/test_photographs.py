from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from melder.data.flags.drawing import draw_flag
from melder.data.flags.photographs import HEIGHT, WIDTH, photograph, to_jpeg

HALVES = draw_flag(["vertical red green"], height=180)


def shot(seed: int) -> np.ndarray:
    return np.asarray(photograph(HALVES, np.random.default_rng(seed)), dtype=float)


def test_a_photograph_has_its_size_and_is_a_function_of_the_seed() -> None:
    assert shot(1).shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(shot(1), shot(1))
    assert not np.array_equal(shot(1), shot(2))


@pytest.mark.parametrize("seed", range(60))
def test_the_flag_is_seen_and_never_mirrored(seed: int) -> None:
    red, green, _ = np.moveaxis(shot(seed), 2, 0)
    reddish, greenish = red > 1.8 * green, green > 1.8 * red
    assert reddish.sum() + greenish.sum() > 150
    if min(reddish.sum(), greenish.sum()) > 150:  # both halves are in view
        assert np.median(np.nonzero(reddish)[1]) < np.median(np.nonzero(greenish)[1])


def test_the_file_is_a_jpeg_close_to_the_picture() -> None:
    random = np.random.default_rng(5)
    picture = photograph(HALVES, random)
    decoded = Image.open(io.BytesIO(to_jpeg(picture, random)))
    assert decoded.format == "JPEG"
    difference = np.asarray(decoded, dtype=float) - np.asarray(picture, dtype=float)
    assert np.abs(difference).mean() < 12
