"""Three ways to one number: a loop over pairs is the oracle of the plain way, the plain way that of the others."""

from __future__ import annotations

import math
from collections.abc import Callable
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import layer_norm

from melder.ops import pooled_attention
from melder.ops import tiled_scores as tiling
from melder.ops.global_local import AttentionQueries, Keys, Norm, attention, plain_scores, pooled_scores
from melder.ops.tiled_scores import tiled_scores

Way = Callable[[AttentionQueries, Keys, Norm], Tensor]
WAYS: list[Way] = [plain_scores, pooled_scores, tiled_scores]
SIZES = st.integers(1, 7)


@given(
    SIZES, SIZES, SIZES, SIZES, SIZES, st.booleans(), st.booleans(), st.sampled_from([1, 40, 100_000]), st.integers(0)
)
def test_all_ways_agree(
    many: int,
    entities: int,
    length: int,
    other_length: int,
    hidden: int,
    mask_entities: bool,
    mask_mentions: bool,
    tile_floats: int,
    seed: int,
) -> None:
    queries, keys, norm = _inputs(many, entities, length, other_length, hidden, seed % 2**32)
    queries.mask = queries.mask if mask_entities else None
    keys.mask = keys.mask if mask_mentions else None
    plain = plain_scores(queries, keys, norm)
    with mock.patch.object(pooled_attention, "TILE_FLOATS", tile_floats), mock.patch.object(tiling, "RUN", 1):
        assert torch.allclose(pooled_scores(queries, keys, norm), plain, atol=1e-10)
        assert torch.allclose(tiled_scores(queries, keys, norm), plain, atol=1e-10)


def test_plain_is_the_formula_pair_by_pair_over_valid_tokens() -> None:
    queries, keys, norm = _inputs(3, 4, 5, 6, 8, seed=1, empty=False)
    expected = torch.tensor([[_pair(queries, keys, norm, m, e) for e in range(4)] for m in range(3)])
    assert torch.allclose(plain_scores(queries, keys, norm), expected.double())


@pytest.mark.parametrize("way", WAYS)
def test_padding_changes_nothing(way: Way) -> None:
    queries, keys, norm = _inputs(3, 4, 5, 6, 8, seed=2, empty=False)
    expected = way(queries, keys, norm)
    padded_queries = AttentionQueries(_pad(queries.query, 99.0), queries.target, _pad(queries.mask, False))
    padded_keys = Keys(_pad(keys.key, 99.0), _pad(keys.value, -99.0), _pad(keys.mask, False))
    assert torch.allclose(way(padded_queries, padded_keys, norm), expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_large_logits_do_not_overflow(way: Way, kind: torch.dtype) -> None:
    queries, keys, norm = _inputs(2, 3, 4, 5, 6, seed=3, kind=kind)
    queries.query *= 1e4
    reference = plain_scores(*_as(torch.float64, queries, keys, norm))
    scores = way(queries, keys, norm)
    assert torch.isfinite(scores).all()
    assert torch.allclose(scores.double(), reference, atol=1e-2)


@pytest.mark.parametrize("way", WAYS)
def test_rows_without_a_valid_token_are_finite(way: Way) -> None:
    queries, keys, norm = _emptied()
    assert torch.isfinite(way(queries, keys, norm)).all()


@pytest.mark.parametrize("way", [plain_scores, pooled_scores])
def test_gradients_of_rows_without_a_valid_token_are_finite(way: Way) -> None:
    queries, keys, norm = _emptied()
    assert all(torch.isfinite(gradient).all() for gradient in _gradients(way, queries, keys, norm))


@given(st.booleans(), st.integers(0, 99))
def test_gradients_agree(masked: bool, seed: int) -> None:
    queries, keys, norm = _inputs(3, 4, 5, 6, 8, seed)
    if not masked:
        queries.mask = keys.mask = None
    pooled, plain = (_gradients(way, queries, keys, norm) for way in (pooled_scores, plain_scores))
    for ours, theirs in zip(pooled, plain, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-8)


def test_attention_sums_to_one_over_the_valid_tokens_of_a_mention() -> None:
    queries, keys, _ = _inputs(3, 4, 5, 6, 8, seed=4, empty=False)
    weights, logits = attention(queries, keys)
    assert weights.shape == logits.shape == (3, 4, 5, 6)
    assert torch.allclose(weights.sum(dim=-1), torch.ones(3, 4, 5, dtype=torch.float64))
    assert keys.mask is not None
    assert not weights.permute(0, 3, 1, 2)[~keys.mask].any()


@pytest.mark.parametrize("way", [pooled_scores, tiled_scores])
def test_sides_stored_in_half_precision_are_scored_in_that_of_the_norm(way: Way) -> None:
    queries, keys, norm = _inputs(3, 4, 5, 6, 8, seed=6, kind=torch.float32)
    half, half_keys, _ = _as(torch.float16, queries, keys, norm)
    expected = way(*_as(torch.float32, half, half_keys, norm))
    assert torch.allclose(way(half, half_keys, norm), expected, atol=1e-5)
    assert torch.allclose(way(half, keys, norm), way(queries, keys, norm), atol=2e-2)


@pytest.mark.parametrize("empty", ["entities", "mentions", "tokens"])
def test_nothing_to_score_gives_scores_of_that_shape(empty: str) -> None:
    queries, keys, norm = _inputs(3, 4, 5, 6, 8, seed=9)
    assert queries.mask is not None
    assert keys.mask is not None
    if empty == "entities":
        queries = AttentionQueries(queries.query[:0], queries.target[:0], queries.mask[:0])
    elif empty == "mentions":
        keys = Keys(keys.key[:0], keys.value[:0], keys.mask[:0])
    else:
        queries = AttentionQueries(queries.query[:, :0], queries.target, queries.mask[:, :0])
    scores = tiled_scores(queries, keys, norm)
    assert scores.shape == (len(keys.key), len(queries.query))
    assert torch.isfinite(scores).all()


def test_products_in_bf16_change_scores_by_its_rounding_alone() -> None:
    queries, keys, norm = _inputs(5, 40, 9, 11, 16, seed=8, kind=torch.float32)
    exact, rounded = (tiled_scores(queries, keys, norm, kind) for kind in (None, torch.bfloat16))
    assert not torch.equal(exact, rounded)
    assert torch.allclose(exact, rounded, atol=0.05 * float(exact.std()))


def _inputs(
    many: int,
    entities: int,
    length: int,
    other_length: int,
    hidden: int,
    seed: int,
    *,
    empty: bool = True,
    kind: torch.dtype = torch.float64,
) -> tuple[AttentionQueries, Keys, Norm]:
    """Random sides, where half of the tokens are padding; with `empty` some rows may have no valid token."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=draw).to(kind)

    def mask(*shape: int) -> Tensor:
        drawn = torch.rand(*shape, generator=draw) < 0.5
        return drawn if empty else drawn | (torch.arange(shape[1]) == 0)

    queries = AttentionQueries(normal(entities, length, hidden), normal(entities, hidden), mask(entities, length))
    keys = Keys(normal(many, other_length, hidden), normal(many, other_length, hidden), mask(many, other_length))
    # An epsilon beside which variances near zero (a width of 1) stay harmless.
    return queries, keys, Norm(normal(hidden), normal(hidden), epsilon=1e-2)


def _emptied() -> tuple[AttentionQueries, Keys, Norm]:
    queries, keys, norm = _inputs(3, 4, 5, 6, 8, seed=7)
    assert queries.mask is not None
    assert keys.mask is not None
    queries.mask[1], keys.mask[0] = False, False
    return queries, keys, norm


def _pair(queries: AttentionQueries, keys: Keys, norm: Norm, m: int, e: int) -> float:
    assert queries.mask is not None
    assert keys.mask is not None
    query, key, value = queries.query[e][queries.mask[e]], keys.key[m][keys.mask[m]], keys.value[m][keys.mask[m]]
    context = torch.stack([((key @ row) / math.sqrt(len(row))).softmax(dim=0) @ value for row in query]).mean(dim=0)
    normalised = layer_norm(context, context.shape, norm.weight, norm.bias, norm.epsilon)
    return float(normalised @ queries.target[e])


def _pad(tensor: Tensor | None, value: float) -> Tensor:
    assert tensor is not None
    return torch.cat([tensor, torch.full_like(tensor[:, :2], value)], dim=1)


def _as(kind: torch.dtype, queries: AttentionQueries, keys: Keys, norm: Norm) -> tuple[AttentionQueries, Keys, Norm]:
    return (
        AttentionQueries(queries.query.to(kind), queries.target.to(kind), queries.mask),
        Keys(keys.key.to(kind), keys.value.to(kind), keys.mask),
        Norm(norm.weight.to(kind), norm.bias.to(kind), norm.epsilon),
    )


def _gradients(way: Way, queries: AttentionQueries, keys: Keys, norm: Norm) -> tuple[Tensor, ...]:
    tensors = (queries.query, queries.target, keys.key, keys.value, norm.weight, norm.bias)
    query, target, key, value, weight, bias = leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    scores = way(
        AttentionQueries(query, target, queries.mask), Keys(key, value, keys.mask), Norm(weight, bias, norm.epsilon)
    )
    return torch.autograd.grad(scores.square().sum(), leaves)
