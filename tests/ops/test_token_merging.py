"""Merging keeps the mean, takes the cheapest pair first, and leaves scores alone where tokens are equal."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from melder.ops import token_merging
from melder.ops.global_local import AttentionQueries, Keys, Norm, plain_scores, pooled_scores
from melder.ops.tiled_scores import tiled_scores
from melder.ops.token_merging import merge_tokens


def _drawn(seed: int, rows: int, length: int, width: int) -> tuple[Tensor, Tensor]:
    """Tokens, and what each counts, of items of several lengths; the first has all, the last none."""
    draw = torch.Generator().manual_seed(seed)
    valid = torch.arange(length) < torch.linspace(length, 0, rows).round()[:, None]
    weights = torch.rand(rows, length, generator=draw, dtype=torch.float64).add_(0.1) * valid
    return torch.randn(rows, length, width, generator=draw, dtype=torch.float64), weights


def _by_hand(tokens: Tensor, weights: Tensor, count: int) -> dict[float, Tensor]:
    """Of one item, by trying every pair: the tokens by their weights."""
    left = [(float(weight), token) for weight, token in zip(weights, tokens, strict=True) if weight > 0]
    while len(left) > count:
        pairs = [(i, j) for i in range(len(left)) for j in range(i + 1, len(left))]
        costs = [
            left[i][0] * left[j][0] / (left[i][0] + left[j][0]) * float((left[i][1] - left[j][1]).square().sum())
            for i, j in pairs
        ]
        i, j = pairs[costs.index(min(costs))]
        (first, one), (second, other) = left[i], left.pop(j)
        left[i] = (first + second, (first * one + second * other) / (first + second))
    return dict(left)


@given(st.integers(0, 99), st.integers(1, 7))
def test_the_cheapest_pair_is_merged_until_enough_are(seed: int, count: int) -> None:
    tokens, weights = _drawn(seed, 5, 6, 3)
    merged, left = merge_tokens(tokens, weights, count)
    assert merged.shape == (5, min(count, 6), 3)
    assert torch.allclose(left.sum(dim=1), weights.sum(dim=1))
    assert torch.allclose((left[..., None] * merged).sum(dim=1), (weights[..., None] * tokens).sum(dim=1))
    for row in range(5):
        expected = _by_hand(tokens[row], weights[row], count)
        found = {float(weight): token for weight, token in zip(left[row], merged[row], strict=True) if weight > 0}
        assert sorted(found) == pytest.approx(sorted(expected))
        for ours, theirs in zip(sorted(found), sorted(expected), strict=True):
            assert torch.allclose(found[ours], expected[theirs])


def test_what_was_given_stays_as_it_is_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, weights = _drawn(3, 7, 6, 3)
    before = tokens.clone(), weights.clone()
    whole = merge_tokens(tokens, weights, 2)
    assert torch.equal(tokens, before[0])
    assert torch.equal(weights, before[1])
    monkeypatch.setattr(token_merging, "AT_ONCE", 72)  # two items
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(merge_tokens(tokens, weights, 2), whole, strict=True))
    assert [len(tensor) for tensor in merge_tokens(tokens[:0], weights[:0], 2)] == [0, 0]


@pytest.mark.parametrize("way", [plain_scores, pooled_scores, tiled_scores])
def test_tokens_that_are_equal_score_as_one_that_counts_for_all(way: object) -> None:
    draw = torch.Generator().manual_seed(5)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    few, times = numbers(4, 3, 8), torch.tensor([1, 4, 2])
    query, target = few.repeat_interleave(times, dim=1), numbers(4, 8)
    keys, norm = (
        Keys(numbers(5, 6, 8), numbers(5, 6, 8), torch.arange(6) < torch.tensor([6, 3, 5, 1, 2])[:, None]),
        Norm(numbers(8), numbers(8)),
    )
    tokens, share = merge_tokens(query, torch.full((4, 7), 1 / 7, dtype=torch.float64), 3)
    expected = plain_scores(AttentionQueries(query, target), keys, norm)
    assert torch.allclose(way(AttentionQueries(tokens, target, share=share), keys, norm), expected)  # type: ignore[operator]
