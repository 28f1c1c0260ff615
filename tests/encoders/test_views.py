from __future__ import annotations

import numpy as np
import pytest

from melder.encoders.views import random_view


def _two_halves() -> np.ndarray:
    """Red on the left, blue on the right."""
    picture = np.zeros((60, 80, 3), dtype=np.uint8)
    picture[:, :40, 0], picture[:, 40:, 2] = 200, 200
    return picture


def test_a_view_is_a_function_of_picture_and_seed() -> None:
    picture = _two_halves()
    before = picture.copy()
    assert np.array_equal(random_view(picture, 7, 48), random_view(picture, 7, 48))
    assert np.array_equal(picture, before)


def test_seeds_give_different_views() -> None:
    views = {random_view(_two_halves(), seed, 32).tobytes() for seed in range(50)}
    assert len(views) == 50


@pytest.mark.parametrize("size", [16, 96])
def test_a_view_is_a_square_of_bytes(size: int) -> None:
    view = random_view(_two_halves(), 0, size)
    assert (view.shape, view.dtype) == ((size, size, 3), np.uint8)


def test_no_view_is_a_mirror_image() -> None:
    for seed in range(200):
        view = random_view(_two_halves(), seed, 32).astype(float)
        red, blue = view[..., 0], view[..., 2]
        columns = np.arange(32)
        assert (red * columns).sum() / red.sum() < (blue * columns).sum() / blue.sum()


def test_views_show_the_colour_of_the_picture() -> None:
    picture = np.full((40, 40, 3), (30, 160, 60), dtype=np.uint8)
    centres = np.array([random_view(picture, seed, 32)[16, 16] for seed in range(100)]).astype(float)
    assert (centres.argmax(axis=1) == 1).all()
    assert np.abs(centres.mean(axis=0) - (30, 160, 60)).max() < 20


def test_most_of_every_view_shows_the_picture() -> None:
    white = np.full((64, 64, 3), 255, dtype=np.uint8)
    for seed in range(100):
        view = random_view(white, seed, 48).astype(int)
        inside = np.abs(view - view[24, 24]).sum(axis=-1) < 30
        assert inside.mean() > 0.75
