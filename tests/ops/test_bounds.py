"""Bounds of what is read from a LayerNorm, against LayerNorms."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from melder.ops.bounds import norm_upper_bound
from melder.ops.global_local import Norm

SIZES = st.integers(2, 24)


def drawn(seed: int, width: int, scale: float) -> tuple[torch.Tensor, Norm, torch.Generator]:
    draw = torch.Generator().manual_seed(seed)
    norm = Norm(*(torch.randn(width, generator=draw, dtype=torch.float64) for _ in range(2)))
    return scale * torch.randn(5, width, generator=draw, dtype=torch.float64), norm, draw


def outputs(values: torch.Tensor, norm: Norm) -> torch.Tensor:
    return functional.layer_norm(values, values.shape[-1:], norm.weight, norm.bias, norm.epsilon)


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), width=SIZES, scale=st.floats(1e-3, 1e3), size=st.floats(1e-4, 1e4))
def test_no_output_is_read_as_more_than_the_upper_bound(seed: int, width: int, scale: float, size: float) -> None:
    target, norm, draw = drawn(seed, width, scale)
    values = size * torch.randn(50, width, generator=draw, dtype=torch.float64)
    bound = norm_upper_bound(target, norm)[:, None]
    assert (target @ outputs(values, norm).t() <= bound + 1e-9 * (1 + bound.abs())).all()


def test_the_upper_bound_is_reached_by_the_vector_that_the_target_points_to() -> None:
    target, norm, _ = drawn(0, 12, 1.0)
    best = outputs(1e6 * (norm.weight * target), norm)
    assert (best * target).sum(dim=1).tolist() == pytest.approx(norm_upper_bound(target, norm).tolist(), rel=1e-6)
