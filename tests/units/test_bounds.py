"""No pair scores above what its unit says at most."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from units.cases import CASES, Made
from units.made import BLIND, SIZES, features, lacking

BOUNDED = [name for name, case in CASES.items() if case.build().has_bounds]
EXACT = [name for name in BOUNDED if name.startswith(("cross", "gated", "fus", "cosine", "text_to", "image_to"))]


def bounds(made: Made, seed: int, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Bounds and scores of mentions and entities, some of which lack something."""
    vision = hasattr(made.heads, "image_global_norm")
    mentions, entities = features(6, seed, vision=vision), features(9, seed + 1, vision=vision)
    mentions, entities = lacking(mentions, text=[0], image=[1]), lacking(entities, text=[2], image=[2, 3])
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)) * scale)
        sides = made.unit.mention_side(made.heads(mentions)), made.unit.entity_side(made.heads(entities))
        found = made.unit.mention_bounds(sides[0]) @ made.unit.entity_bounds(sides[1]).t()
        return found, made.unit.score(*sides)


def test_every_unit_but_the_lexical_one_is_bounded() -> None:
    assert set(CASES) - set(BOUNDED) == {"lexical"}  # whose cosines the certified search computes


@pytest.mark.parametrize("name", BOUNDED)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**31 - 2), scale=st.floats(0.05, 3.0))
def test_no_score_is_above_its_bound(name: str, seed: int, scale: float) -> None:
    bound, score = bounds(Made(CASES[name]), seed, scale)
    assert (score <= bound + 1e-4 * (1 + bound.abs().max())).all()


@pytest.mark.parametrize("name", BOUNDED)
def test_without_vision_too(name: str) -> None:
    bound, score = bounds(Made(CASES[name], BLIND), 3)
    assert (score <= bound + 1e-4).all()


@pytest.mark.parametrize("name", EXACT)
def test_an_inner_product_is_its_own_bound(name: str) -> None:
    bound, score = bounds(Made(CASES[name], SIZES), 5)
    assert torch.allclose(bound, score, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("name", BOUNDED)
def test_sides_of_half_precision_are_bounded_in_full(name: str) -> None:
    made = Made(CASES[name])
    side = made.unit.entity_side(made.heads(features(4, 1)))
    assert isinstance(made.unit, nn.Module)
    assert made.unit.entity_bounds(side.to(torch.float16)).dtype == torch.float32
