from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageChops

from melder.data.flags.drawing import draw_flag
from melder.data.flags.nations import Nation, nations
from melder.data.flags.outlines import circle, crescent, star
from melder.records import MelderError

LOOK_THE_SAME = {("RO", "TD"), ("ID", "MC")}


def area(outline: np.ndarray) -> float:
    """The shoelace formula."""
    x, y = outline.T
    return abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2


@pytest.mark.parametrize("nation", nations(), ids=lambda nation: nation.code)
def test_every_flag_draws_at_its_size_with_more_than_one_colour(nation: Nation) -> None:
    flag = draw_flag(nation.flag, nation.ratio, height=40)
    assert flag.mode == "RGB"
    assert flag.size == (round(40 * nation.ratio), 40)
    assert len(flag.getcolors(100_000)) > 1


def test_only_flags_that_are_the_same_in_life_are_the_same_here() -> None:
    drawn = {nation.code: draw_flag(nation.flag, 1.5, height=48) for nation in nations()}
    codes = sorted(drawn)
    same = {(a, b) for a in codes for b in codes if a < b and not ImageChops.difference(drawn[a], drawn[b]).getbbox()}
    assert same == LOOK_THE_SAME


def test_stripes_have_their_proportions() -> None:
    pixels = np.asarray(draw_flag(["vertical red white*2 red"], 2, height=20))
    white = (pixels == 255).all(axis=2)
    assert white.sum(axis=1).tolist() == [20] * 20
    assert white[0, 10:30].all()


def test_a_disc_is_round_whatever_the_ratio_of_the_flag() -> None:
    black = np.asarray(draw_flag(["field white", "disc black .5 .5 .25"], 2, height=100))[..., 0] < 128
    rows, columns = black.any(axis=1).sum(), black.any(axis=0).sum()
    assert abs(int(rows) - int(columns)) <= 1
    assert black.sum() == pytest.approx(np.pi * 25**2, rel=0.01)


def test_a_crescent_is_a_disc_less_the_overlap_with_a_smaller_one() -> None:
    x, y = np.meshgrid(*[np.linspace(-1, 1, 1001)] * 2)
    expected = ((np.hypot(x, y) < 1) & (np.hypot(x - 0.3, y) > 0.8)).mean() * 4
    assert area(crescent()) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(("turn", "direction"), [(0, (1, 0)), (90, (0, -1))])
def test_a_crescent_opens_where_it_is_turned(turn: float, direction: tuple[float, float]) -> None:
    centre = crescent(turn).mean(axis=0)
    assert np.dot(centre, direction) < -0.05


def test_a_star_has_its_rays_on_the_circle_and_the_first_points_up() -> None:
    rays = star(7)[::2]
    assert np.allclose(np.hypot(*rays.T), 1)
    assert np.allclose(rays[0], (0, -1))
    assert area(star(5)) < area(circle())


@pytest.mark.parametrize("shape", ["hexagon red", "field turquoise", "disc red .5", "box", "disc red a b c"])
def test_a_shape_that_cannot_be_drawn_is_named(shape: str) -> None:
    with pytest.raises(MelderError, match=shape) as caught:
        draw_flag([shape])
    assert "\n" not in str(caught.value)
