"""The order of scores, against a stable sort of all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from melder.ops.largest import largest, largest_of_array


def expected(scores: Tensor, k: int) -> list[list[int]]:
    rows = [sorted(range(scores.shape[1]), key=lambda place, row=row: (-row[place], place)) for row in scores.tolist()]
    return [row[:k] for row in rows]


@given(seed=st.integers(0, 2**31), rows=st.integers(1, 5), n=st.integers(1, 300), k=st.integers(0, 310))
def test_of_equal_scores_the_first_comes_first(seed: int, rows: int, n: int, k: int) -> None:
    different = 1 + seed % 7
    scores = torch.randint(different, (rows, n), generator=torch.Generator().manual_seed(seed)).float()
    values, places = largest(scores, k)
    assert places.tolist() == expected(scores, k)
    assert torch.equal(values, scores.gather(1, places))
    assert [largest_of_array(row.numpy(), k).tolist() for row in scores] == expected(scores, k)


@pytest.mark.parametrize("k", [1, 7, 64, 1000])
def test_among_many_equal_ones_too(k: int) -> None:
    """From thousands on PyTorch chooses by another kernel; zeros of either sign are equal, and so are infinities."""
    scores = torch.zeros(3, 20_000)
    scores[0, ::2] = -0.0
    scores[1] = float("-inf")
    scores[2, 19_000:] = 1.0
    assert largest(scores, k)[1].tolist() == expected(scores, k)
    assert largest(scores[0], k)[1].tolist() == list(range(k))


def test_an_array_of_any_kind_has_that_order() -> None:
    for kind in (np.float16, np.float32, np.float64):
        scores = np.array([1, 3, 2, 3, 1], kind)
        assert largest_of_array(scores, 4).tolist() == [1, 3, 2, 0]
        assert largest_of_array(np.array([1, 0, 3, 0, 2, 0, 3, 0, 1, 0], kind)[::2], 3).tolist() == [1, 3, 2]
    assert largest_of_array(np.zeros(0), 3).tolist() == []
