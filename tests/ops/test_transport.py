"""Assigned tokens: a loop over pairs is the oracle of the plain scores, these that of the tiles."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cosine_similarity, layer_norm

from melder.ops import assigned_pairs
from melder.ops.assignment import Assignment, Kind, aligned
from melder.ops.global_local import AttentionQueries, Keys, Norm
from melder.ops.global_transport import transported_scores
from melder.ops.masks import masked_mean
from melder.ops.transport import Pooling, RowNorm, plain_scores, residual_scores

KINDS: list[Kind] = ["transport", "attention"]
NORMS: list[RowNorm] = ["l2", "l1"]
M, E, L_E, L_M, H = 3, 5, 4, 6, 8
every_way = pytest.mark.parametrize(("kind", "row_norm"), [(kind, norm) for kind in KINDS for norm in NORMS])


@given(
    st.sampled_from(KINDS),
    st.sampled_from(NORMS),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.02, 0.05]),
    st.sampled_from([1, 100, 1_000_000]),
    st.integers(0, 10_000),
)
@settings(max_examples=60, deadline=None)
def test_tiles_give_the_plain_scores(
    kind: Kind, row_norm: RowNorm, masked: bool, learned: bool, epsilon: float, tile_floats: int, seed: int
) -> None:
    queries, keys, pooling = _inputs(seed, masked=masked, learned=learned, row_norm=row_norm)
    assignment = Assignment(kind, epsilon)
    plain = plain_scores(assignment, queries, keys, pooling)
    with mock.patch.object(assigned_pairs, "TILE_FLOATS", tile_floats):
        assert torch.allclose(residual_scores(assignment, queries, keys, pooling), plain, atol=1e-8)
        with torch.no_grad():
            assert torch.allclose(residual_scores(assignment, queries, keys, pooling), plain, atol=1e-8)


@every_way
def test_plain_scores_are_the_formula_pair_by_pair(kind: Kind, row_norm: RowNorm) -> None:
    queries, keys, pooling = _inputs(0, masked=True, row_norm=row_norm)
    found = plain_scores(Assignment(kind), queries, keys, pooling)
    for m in range(M):
        for e in range(E):
            assert torch.allclose(found[m, e], _pair(kind, queries, keys, pooling, m, e))


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("learned", [True, False])
@every_way
def test_gradients_are_those_of_the_plain_scores(kind: Kind, row_norm: RowNorm, learned: bool, detach: bool) -> None:
    queries, keys, pooling = _inputs(1, masked=True, learned=learned, row_norm=row_norm)
    leaves = [queries.query, queries.target, keys.key, keys.value, pooling.weight, pooling.position.weight]
    leaves += [each.mass for each in (queries, keys) if each.mass is not None]
    for leaf in leaves:
        leaf.requires_grad_()
    gradients = []
    for way in (plain_scores, residual_scores):
        scores = way(Assignment(kind, detach=detach), queries, keys, pooling)
        gradients.append(torch.autograd.grad(scores.square().sum(), leaves, allow_unused=True))
    for plain, ours in zip(*gradients, strict=True):
        assert (plain is None) == (ours is None)
        assert plain is None or torch.allclose(plain, ours, atol=1e-7)
    reached = gradients[1][2] is not None
    assert reached == (kind == "attention" or not detach)


@pytest.mark.parametrize("kind", KINDS)
def test_large_features_neither_overflow_nor_cancel(kind: Kind) -> None:
    queries, keys, pooling = _inputs(2, masked=True)
    queries.query = queries.query * 300 + 1000
    expected = plain_scores(Assignment(kind), queries, keys, pooling)
    with torch.no_grad():
        found = residual_scores(Assignment(kind), *_float32(queries, keys, pooling))
    assert torch.allclose(found.double(), expected, atol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_a_valid_token_are_finite_with_their_gradients(kind: Kind) -> None:
    queries, keys, pooling = _inputs(3, masked=True)
    assert queries.mask is not None
    assert keys.mask is not None
    queries.mask[1], keys.mask[0] = False, False
    queries.query.requires_grad_()
    scores = residual_scores(Assignment(kind), queries, keys, pooling)
    scores.square().sum().backward()
    assert torch.isfinite(scores).all()
    assert torch.isfinite(queries.query.grad).all()  # type: ignore[arg-type]


def test_dropout_drops_with_gradients_as_without_them_again() -> None:
    """What the backward pass computes again drops the same entries: the gradient is that of the score given."""
    queries, keys, pooling = _inputs(4)
    pooling.dropout = 0.5
    queries.target.requires_grad_()
    scores = residual_scores(Assignment(), queries, keys, pooling)
    assert not torch.allclose(scores, plain_scores(Assignment(), queries, keys, pooling))
    gradient = torch.autograd.grad(scores.sum(), queries.target)[0]
    # The score is linear in the target.
    assert torch.allclose((gradient * queries.target).sum(), scores.sum())


@pytest.mark.parametrize("masked", [True, False])
def test_global_scores_by_transport_are_those_of_the_mean_of_what_was_assigned(masked: bool) -> None:
    queries, keys, pooling = _inputs(5, masked=masked)
    norm, assignment = pooling.pooled, Assignment()
    weights, _ = aligned(assignment, queries, keys)
    expected = torch.empty(M, E, dtype=torch.float64)
    for m in range(M):
        for e in range(E):
            mask = None if queries.mask is None else queries.mask[e : e + 1]
            mean = masked_mean((weights[m, e] @ keys.value[m])[None], mask)[0]
            expected[m, e] = layer_norm(mean, (H,), norm.weight, norm.bias, norm.epsilon) @ queries.target[e]
    assert torch.allclose(transported_scores(assignment, queries, keys, norm), expected)
    with torch.no_grad():
        assert torch.allclose(transported_scores(assignment, queries, keys, norm), expected)


def _pair(kind: Kind, queries: AttentionQueries, keys: Keys, pooling: Pooling, m: int, e: int) -> Tensor:
    assert queries.mask is not None
    assert keys.mask is not None
    query, key = queries.query[e][queries.mask[e]], keys.key[m][keys.mask[m]]
    if kind == "attention":
        rows = (query @ key.t() / H**0.5).softmax(dim=-1)
    else:
        rows = (((cosine_similarity(query[:, None], key[None], dim=-1) + 1) / 2) / 0.05).exp()
        for _ in range(3):
            rows = rows / rows.sum(dim=0)
            rows = rows / rows.sum(dim=1, keepdim=True)
    rows = rows / rows.norm(p=2 if pooling.row_norm == "l2" else 1, dim=-1, keepdim=True)
    first, second = pooling.position, pooling.pooled
    x = layer_norm(rows @ keys.value[m][keys.mask[m]] + query, (H,), first.weight, first.bias, first.epsilon)
    pooled = (x @ pooling.weight).softmax(dim=0) @ x
    return layer_norm(pooled, (H,), second.weight, second.bias, second.epsilon) @ queries.target[e]


def _inputs(
    seed: int, *, masked: bool = False, learned: bool = False, row_norm: RowNorm = "l2"
) -> tuple[AttentionQueries, Keys, Pooling]:
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=draw)

    def mask(*shape: int) -> Tensor | None:
        drawn = (torch.rand(*shape, generator=draw) < 0.6) | (torch.arange(shape[1]) == 0)
        return drawn if masked else None

    def mass(valid: Tensor | None, *shape: int) -> Tensor | None:
        drawn = torch.rand(*shape, dtype=torch.float64, generator=draw) + 0.1
        drawn = drawn if valid is None else drawn * valid
        return drawn / drawn.sum(dim=1, keepdim=True) if learned else None

    row, column = mask(E, L_E), mask(M, L_M)
    queries = AttentionQueries(normal(E, L_E, H), normal(E, H), row, mass(row, E, L_E))
    keys = Keys(normal(M, L_M, H), normal(M, L_M, H), column, mass(column, M, L_M))
    return queries, keys, Pooling(Norm(normal(H), normal(H)), normal(H), Norm(normal(H), normal(H)), row_norm)


def _float32(queries: AttentionQueries, keys: Keys, pooling: Pooling) -> tuple[AttentionQueries, Keys, Pooling]:
    norms = [Norm(norm.weight.float(), norm.bias.float()) for norm in (pooling.position, pooling.pooled)]
    return queries.to(torch.float32), keys.to(torch.float32), Pooling(norms[0], pooling.weight.float(), norms[1])
