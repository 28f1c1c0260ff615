from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from melder.ops.masks import masked_mean, masked_softmax, never_empty, uniform_weights

MASKS = st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=5).map(torch.tensor)


@given(MASKS)
def test_only_rows_without_a_valid_token_are_filled(mask: torch.Tensor) -> None:
    filled = never_empty(mask)
    assert filled is not None
    for before, after in zip(mask, filled, strict=True):
        assert torch.equal(after, before if before.any() else torch.ones(4, dtype=torch.bool))


def test_no_mask_stays_none() -> None:
    assert never_empty(None) is None


@given(MASKS)
def test_softmax_is_that_of_the_valid_tokens_alone(mask: torch.Tensor) -> None:
    logits = torch.randn(mask.shape, generator=torch.Generator().manual_seed(0))
    weights = masked_softmax(logits, mask)
    for row, valid in enumerate(mask):
        if valid.any():
            assert torch.allclose(weights[row][valid], logits[row][valid].softmax(dim=0))
            assert not weights[row][~valid].any()


@given(MASKS)
def test_mean_is_that_of_the_valid_tokens_alone(mask: torch.Tensor) -> None:
    tokens = torch.randn(*mask.shape, 3, generator=torch.Generator().manual_seed(0))
    mean = masked_mean(tokens, mask)
    for row, valid in enumerate(mask):
        if valid.any():
            assert torch.allclose(mean[row], tokens[row][valid].mean(dim=0), atol=1e-6)


def test_without_a_mask_every_token_counts() -> None:
    tokens = torch.arange(12.0).view(2, 3, 2)
    assert torch.equal(masked_mean(tokens, None), tokens.mean(dim=1))
    assert torch.equal(masked_softmax(torch.zeros(2, 4), None), torch.full((2, 4), 0.25))


def test_uniform_weights_are_one_over_the_number_of_valid_tokens() -> None:
    mask = torch.tensor([[True, False, True, False], [True, True, True, True], [False, True, False, False]])
    expected = torch.tensor([[0.5, 0, 0.5, 0], [0.25] * 4, [0, 1, 0, 0]])
    assert torch.equal(uniform_weights(mask), expected)
    assert uniform_weights(mask, torch.float64).dtype == torch.float64


def test_a_mask_broadcasts_over_the_axes_before_it() -> None:
    mask = torch.tensor([True, False, True])
    assert torch.equal(masked_softmax(torch.zeros(2, 5, 3), mask), torch.tensor([0.5, 0, 0.5]).expand(2, 5, 3))


@pytest.mark.parametrize("operation", [masked_softmax, lambda x, mask: masked_mean(x[..., None], mask)])
def test_a_row_without_a_valid_token_has_finite_values_and_gradients(operation: object) -> None:
    tokens = torch.randn(2, 3, requires_grad=True)
    result = operation(tokens, torch.tensor([[False] * 3, [True, True, False]]))  # type: ignore[operator]
    result.square().sum().backward()
    assert torch.isfinite(result).all()
    assert tokens.grad is not None
    assert torch.isfinite(tokens.grad).all()
