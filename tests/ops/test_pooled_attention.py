from __future__ import annotations

from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from melder.ops import pooled_attention
from melder.ops.pooled_attention import TILE_FLOATS, PooledAttention, attend, tiles

MASK = torch.tensor([[True, True, True, True], [True, False, True, False], [False, False, False, True]])


@given(st.integers(0, 400), st.integers(0, 3 * TILE_FLOATS))
def test_tiles_cover_every_entity_once_and_fit_in_the_cache(entities: int, pair: int) -> None:
    cut = list(tiles(entities, pair))
    assert [row for tile in cut for row in range(tile.start, tile.stop)] == list(range(entities))
    assert all((tile.stop - tile.start) * pair <= TILE_FLOATS or tile.stop - tile.start == 1 for tile in cut)


def test_attention_weights_are_a_softmax_over_the_mentions_tokens() -> None:
    query, key, _ = _inputs()
    expected = (query @ key[0].t()).softmax(dim=-1)
    assert torch.allclose(attend(query, key[0].t()), expected)


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("tile_floats", [1, 30, TILE_FLOATS])
def test_value_is_the_weighted_mean_of_each_pairs_attention(mask: Tensor | None, tile_floats: int) -> None:
    query, key, average = _inputs()
    with mock.patch.object(pooled_attention, "TILE_FLOATS", tile_floats):
        pooled = PooledAttention.apply(query, key, average, mask)
    assert torch.allclose(pooled, _plain(query, key, average, mask))


@pytest.mark.parametrize("mask", [None, MASK])
def test_gradients_are_those_of_finite_differences(mask: Tensor | None) -> None:
    query, key, average = _inputs()
    query.requires_grad_()
    key.requires_grad_()
    assert torch.autograd.gradcheck(lambda q, k: PooledAttention.apply(q, k, average, mask), (query, key))


@pytest.mark.parametrize("tile_floats", [1, 30, TILE_FLOATS])
def test_gradients_are_those_of_the_plain_formula(tile_floats: int) -> None:
    query, key, average = _inputs()
    slope = torch.randn(3, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = _gradients(_plain, query, key, average, slope)
    with mock.patch.object(pooled_attention, "TILE_FLOATS", tile_floats):
        found = _gradients(PooledAttention.apply, query, key, average, slope)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours, theirs)


def test_masked_tokens_get_no_weight_and_no_gradient() -> None:
    query, key, average = _inputs()
    key.requires_grad_()
    pooled = PooledAttention.apply(query, key, average, MASK)
    assert not pooled.transpose(1, 2)[~MASK].any()
    pooled.square().sum().backward()
    assert key.grad is not None
    assert not key.grad[~MASK].any()
    assert key.grad[0].any()


def _inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Queries of 5 entities, scaled keys of 3 mentions, weights of the entities' tokens, in double."""
    draw = torch.Generator().manual_seed(0)
    query, key = (torch.randn(*shape, 3, dtype=torch.float64, generator=draw) for shape in ((5, 6), (3, 4)))
    return query, key, torch.rand(5, 6, dtype=torch.float64, generator=draw).softmax(dim=-1)


def _plain(query: Tensor, key: Tensor, average: Tensor, mask: Tensor | None) -> Tensor:
    logits = torch.einsum("eih,mjh->meij", query, key)
    if mask is not None:
        logits = logits.masked_fill(~mask[:, None, None], float("-inf"))
    return torch.einsum("ei,meij->mej", average, logits.softmax(dim=-1))


def _gradients(function: object, query: Tensor, key: Tensor, average: Tensor, slope: Tensor) -> tuple[Tensor, ...]:
    leaves = [tensor.clone().requires_grad_() for tensor in (query, key)]
    pooled = function(*leaves, average, MASK)  # type: ignore[operator]
    return torch.autograd.grad((pooled * slope).sum(), leaves)
