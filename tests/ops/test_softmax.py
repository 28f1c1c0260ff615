"""The softmax by powers of two equals PyTorch's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from melder.ops.softmax import LOG2E, exponentials_, softmax

LENGTHS = st.sampled_from([0, 1, 2, 13, 15, 16, 17, 40])


@given(st.integers(0, 5), LENGTHS, st.sampled_from([0.0, 1.0, 10.0, 50.0, 1e4]), st.booleans(), st.integers(0, 2**31))
def test_rows_are_those_of_pytorch(rows: int, length: int, scale: float, given_out: bool, seed: int) -> None:
    logits = scale * torch.randn(rows, 3, length, generator=torch.Generator().manual_seed(seed))
    before = logits.clone()
    out = torch.empty_like(logits) if given_out else None
    found = softmax(logits, out)
    assert torch.allclose(found, before.softmax(dim=-1), rtol=1e-5, atol=1e-7)
    assert torch.equal(logits, before)
    assert out is None or found.data_ptr() == out.data_ptr()
    doubled = logits.double() * LOG2E
    assert torch.allclose(softmax(doubled, base_two=True), before.double().softmax(dim=-1), atol=1e-9)
    assert torch.equal(doubled, before.double() * LOG2E)


@pytest.mark.parametrize("worst", [float("inf"), float("-inf"), float("nan")])
def test_numbers_that_are_none_come_out_as_from_pytorch(worst: float) -> None:
    logits = torch.tensor([[1.0, 2.0, worst], [0.0, 1.0, 2.0]])
    assert torch.allclose(softmax(logits), logits.softmax(dim=-1), equal_nan=True)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_other_types_keep_theirs(kind: torch.dtype) -> None:
    logits = torch.randn(4, 5, dtype=torch.float64).to(kind)
    assert softmax(logits).dtype == kind
    assert torch.allclose(softmax(logits), logits.softmax(dim=-1), atol=torch.finfo(kind).eps)


def test_exponentials_are_those_of_pytorch() -> None:
    logits = torch.linspace(-40, 40, 1001, dtype=torch.float64)
    assert torch.allclose(exponentials_(logits.clone()), logits.exp(), rtol=1e-12)
    assert torch.allclose(exponentials_(logits.float()).double(), logits.exp(), rtol=1e-5)
