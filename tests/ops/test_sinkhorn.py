"""Transport plans: their marginals, the published routine, and POT at convergence."""

from __future__ import annotations

import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from melder.ops.sinkhorn import column_scaling, sinkhorn

SEEDS = st.integers(0, 10_000)
LENGTHS = st.integers(1, 6)


def _drawn(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _masses(seed: int, *shape: int) -> Tensor:
    mass = _drawn(seed, *shape) + 0.1
    return mass / mass.sum(dim=-1, keepdim=True)


@given(LENGTHS, LENGTHS, SEEDS)
def test_it_is_the_published_routine(rows: int, columns: int, seed: int) -> None:
    """exp(C / 0.05), then three times columns, then rows, each by their sums."""
    similarity = _drawn(seed, rows, columns)
    plan = (similarity / 0.05).exp()
    for _ in range(3):
        plan = plan / plan.sum(dim=0, keepdim=True)
        plan = plan / plan.sum(dim=1, keepdim=True)
    assert torch.allclose(sinkhorn(similarity), plan / rows, atol=1e-12)


@pytest.mark.parametrize("epsilon", [0.05, 0.2])
def test_at_convergence_it_is_that_of_pot(epsilon: float) -> None:
    similarity, rows, columns = _drawn(0, 4, 5, 7), _masses(1, 4, 5), _masses(2, 4, 7)
    found = sinkhorn(similarity, rows, columns, epsilon=epsilon, iterations=20_000, tolerance=1e-12)
    for plan, cost, mu, nu in zip(found, 1 - similarity, rows, columns, strict=True):
        expected = ot.sinkhorn(mu.numpy(), nu.numpy(), cost.numpy(), epsilon, numItermax=50_000, stopThr=1e-13)
        assert (plan - torch.from_numpy(expected)).abs().max() <= 1e-6


@given(LENGTHS, LENGTHS, SEEDS)
@settings(max_examples=30)
def test_rows_are_exact_and_columns_as_close_as_asked(n: int, m: int, seed: int) -> None:
    rows, columns = _masses(seed, 2, n), _masses(seed + 1, 2, m)
    few = sinkhorn(_drawn(seed, 2, n, m), rows, columns)
    many = sinkhorn(_drawn(seed, 2, n, m), rows, columns, iterations=100_000, tolerance=1e-9)
    assert torch.allclose(few.sum(dim=-1), rows)
    assert torch.allclose(many.sum(dim=-1), rows)
    assert (many.sum(dim=-2) - columns).abs().max() <= 1e-9


def test_marginals_are_scaled_to_one() -> None:
    similarity, rows, columns = _drawn(0, 3, 4), _masses(1, 3), _masses(2, 4)
    assert torch.allclose(sinkhorn(similarity, 5 * rows, 7 * columns), sinkhorn(similarity, rows, columns))


@given(SEEDS)
def test_masked_entries_are_zero_and_the_rest_is_the_plan_of_the_rest(seed: int) -> None:
    row_mask, column_mask = _drawn(seed, 5) < 0.6, _drawn(seed + 1, 6) < 0.6
    row_mask[0], column_mask[0] = True, True
    similarity = _drawn(seed, 5, 6)
    plan = sinkhorn(similarity, row_mask=row_mask, column_mask=column_mask)
    assert not plan[~row_mask].any()
    assert not plan[:, ~column_mask].any()
    assert torch.allclose(plan[row_mask][:, column_mask], sinkhorn(similarity[row_mask][:, column_mask]))


def test_no_mass_is_as_good_as_a_mask() -> None:
    similarity, mask = _drawn(0, 3, 4), torch.tensor([True, False, True])
    masked = sinkhorn(similarity, row_mask=mask)
    assert torch.allclose(sinkhorn(similarity, rows=mask.double()), masked)


def test_where_nothing_is_valid_everything_is_finite() -> None:
    similarity = _drawn(0, 2, 3, 4).requires_grad_()
    plan = sinkhorn(similarity, row_mask=torch.zeros(2, 3, dtype=torch.bool), columns=torch.zeros(2, 4))
    plan.square().sum().backward()
    assert torch.isfinite(plan).all()
    assert similarity.grad is not None
    assert torch.isfinite(similarity.grad).all()


@given(SEEDS)
def test_permuted_similarities_give_the_permuted_plan(seed: int) -> None:
    rows, columns = torch.randperm(4), torch.randperm(5)
    similarity, mu, nu = _drawn(seed, 4, 5), _masses(seed, 4), _masses(seed + 1, 5)
    expected = sinkhorn(similarity, mu, nu)[rows][:, columns]
    assert torch.allclose(sinkhorn(similarity[rows][:, columns], mu[rows], nu[columns]), expected)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_those_of_finite_differences(masked: bool) -> None:
    inputs = [tensor.requires_grad_() for tensor in (_drawn(0, 2, 3, 4), _masses(1, 2, 3), _masses(2, 2, 4))]
    mask = torch.tensor([[True, True, False], [True, False, True]]) if masked else None
    assert torch.autograd.gradcheck(
        lambda c, mu, nu: sinkhorn(c, mu, nu, row_mask=mask, epsilon=0.3), inputs, atol=1e-6
    )


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("epsilon", [0.05, 1e-3])
def test_nothing_overflows_in_any_type(kind: torch.dtype, epsilon: float) -> None:
    similarity = _drawn(0, 40, 50).to(kind)
    plan = sinkhorn(similarity, epsilon=epsilon, iterations=10)
    assert plan.dtype == kind
    assert torch.allclose(plan.double().sum(dim=-1), torch.full((40,), 1 / 40, dtype=torch.float64), rtol=2e-2)
    exact = sinkhorn(similarity.double(), epsilon=epsilon, iterations=10)
    assert torch.allclose(plan.double(), exact, rtol=1e-2, atol=1e-4)


def test_scaling_gives_rows_proportional_to_the_plans() -> None:
    similarity, rows, columns = _drawn(0, 3, 4, 5), _masses(1, 3, 4), _masses(2, 5)
    rows[1, 2:] = 0
    kernel = (similarity / 0.05).exp()
    found = kernel * column_scaling(kernel, rows, columns, 3)
    plan = sinkhorn(similarity, rows, columns.expand(3, 5))
    valid = rows > 0
    expected = plan[valid] / plan[valid].sum(dim=-1, keepdim=True)
    assert torch.allclose(found[valid] / found[valid].sum(dim=-1, keepdim=True), expected)
