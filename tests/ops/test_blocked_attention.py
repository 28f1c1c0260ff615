"""What a GPU computes equals what a CPU does: the same functions of the same numbers, in other blocks."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
from torch import Tensor

from melder.ops import assigned_pairs, blocked_attention
from melder.ops.assignment import Assignment, Kind
from melder.ops.blocked_attention import pooled_by_blocks, pooled_gradients
from melder.ops.global_local import AttentionQueries, Keys, Norm
from melder.ops.global_transport import transported_scores
from melder.ops.pooled_attention import PooledAttention
from melder.ops.transport import Pooling, residual_scores

ENTITIES, MENTIONS, LENGTH, TOKENS, HIDDEN = 5, 3, 6, 4, 8
MASK = torch.tensor([[True, True, True, True], [True, False, True, False], [False, False, False, True]])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("floats", [1, 60, 200, 1 << 26])
def test_blocks_give_what_tiles_give(mask: Tensor | None, floats: int) -> None:
    query, key = random(ENTITIES, LENGTH, HIDDEN), random(MENTIONS, TOKENS, HIDDEN, seed=1)
    average, gradient = random(ENTITIES, LENGTH, seed=2).softmax(1), random(MENTIONS, ENTITIES, TOKENS, seed=3)
    learning = [query.clone().requires_grad_(), key.clone().requires_grad_()]
    pooled = PooledAttention.apply(*learning, average, mask)
    expected = torch.autograd.grad(pooled, learning, gradient)
    with mock.patch.object(blocked_attention, "BLOCK_FLOATS", floats):
        torch.testing.assert_close(pooled_by_blocks(query, key, average, mask), pooled.detach())
        for ours, theirs in zip(pooled_gradients(query, key, average, mask, gradient), expected, strict=True):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("kind", ["transport", "attention"])
@pytest.mark.parametrize("unit", ["residual", "global"])
@pytest.mark.parametrize("learns", [True, False])
def test_masked_padding_gives_what_cut_padding_gives(mask: Tensor | None, kind: Kind, unit: str, learns: bool) -> None:
    rows = torch.arange(LENGTH) < torch.tensor([6, 2, 4, 1, 3])[:, None]
    query, key = random(ENTITIES, LENGTH, HIDDEN), random(MENTIONS, TOKENS, HIDDEN, seed=1)
    learning = [tensor.requires_grad_(learns) for tensor in (query, key)]
    queries = AttentionQueries(query, random(ENTITIES, HIDDEN, seed=4), rows)
    keys = Keys(key, random(MENTIONS, TOKENS, HIDDEN, seed=5), mask)
    norm = Norm(random(HIDDEN, seed=6), random(HIDDEN, seed=7))

    def scores() -> tuple[Tensor, ...]:
        if unit == "global":
            result = transported_scores(Assignment(kind), queries, keys, norm)
        else:
            result = residual_scores(Assignment(kind), queries, keys, Pooling(norm, random(HIDDEN, seed=8), norm))
        return (result.detach(), *(torch.autograd.grad(result.sin().sum(), learning) if learns else ()))

    expected = scores()
    with mock.patch.object(assigned_pairs, "_on_cpu", return_value=False):
        for ours, theirs in zip(scores(), expected, strict=True):
            torch.testing.assert_close(ours, theirs)
