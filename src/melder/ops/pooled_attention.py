r"""The mean over an entity's tokens of their attention to a mention's tokens, for all pairs, without holding it.

    pooled_j = sum_i r_i A_ij,   A_i = softmax_j(q_i k_j)

with r the weights of the entity's tokens (they sum to 1). The attention of a pair is L_e x L_m numbers, pooled only
L_m; for a batch of 128 x 128 pairs the former are hundreds of megabytes. Forward and backward therefore work on tiles
that stay in the cache (on a GPU `melder.ops.blocked_attention`), and the backward pass computes the attention again:

    dA_ij = r_i g_j,   dS_ij = A_ij r_i (g_j - sum_j' A_ij' g_j'),   dQ = dS K,   dK = dS^T Q
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from melder.ops.blocked_attention import pooled_by_blocks, pooled_gradients
from melder.ops.softmax import softmax

__all__ = ["TILE_FLOATS", "PooledAttention", "attend", "tiles"]

# Logits of one tile, in floats: they fit in the last-level cache beside what else is computed of them, and are enough
# to keep the cores busy between two calls.
TILE_FLOATS = 800_000


def tiles(entities: int, pair: int) -> Iterator[slice]:
    """Slices of the entities such that a tile of pairs with `pair` logits each fits in the cache.

    Args:
        entities: How many there are.
        pair: Logits of one pair.

    Returns:
        In order, of all entities.
    """
    step = max(1, TILE_FLOATS // max(1, pair))
    return (slice(start, min(start + step, entities)) for start in range(0, entities, step))


def attend(query: Tensor, key: Tensor) -> Tensor:
    """Softmax of the entities' queries against a mention's scaled keys.

    Args:
        query: [T, L_e, h].
        key: [h, L_m].

    Returns:
        [T, L_e, L_m].
    """
    tile, length, hidden = query.shape
    return softmax(query.reshape(tile * length, hidden) @ key).view(tile, length, -1)


class PooledAttention(torch.autograd.Function):
    """pooled [M, E, L_m] from query [E, L_e, h], scaled key [M, L_m, h], average [E, L_e], mask [M, L_m] or None.

    Masked key tokens get 0. Gradients reach query and key.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, average: Tensor, mask: Tensor | None) -> Tensor:
        ctx.save_for_backward(query, key, average, mask)
        if query.device.type != "cpu":
            return pooled_by_blocks(query, key, average, mask)
        pooled = query.new_zeros(len(key), len(query), key.shape[1])
        for row in range(len(key)):
            valid = _valid(mask, row)
            columns = key[row][valid].t().contiguous()
            for tile in tiles(len(query), query.shape[1] * columns.shape[1]):
                weights = attend(query[tile], columns)
                pooled[row, tile, valid] = torch.bmm(average[tile, None], weights)[:, 0]
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        query, key, average, mask = ctx.saved_tensors
        if query.device.type != "cpu":
            return *pooled_gradients(query, key, average, mask, gradients[0]), None, None
        query_gradient, key_gradient = torch.zeros_like(query), torch.zeros_like(key)
        for row in range(len(key)):
            valid = _valid(mask, row)
            rows = key[row][valid].contiguous()
            gradient = gradients[0][row][:, valid]
            for tile in tiles(len(query), query.shape[1] * len(rows)):
                slope = _slope(attend(query[tile], rows.t()), gradient[tile], average[tile])
                query_gradient[tile] += (slope @ rows).view(query[tile].shape)
                key_gradient[row, valid] += slope.t() @ query[tile].reshape(-1, query.shape[-1])
        return query_gradient, key_gradient, None, None


def _slope(weights: Tensor, gradient: Tensor, average: Tensor) -> Tensor:
    """dS [T * L_e, L_m] from A [T, L_e, L_m], g [T, L_m], r [T, L_e]."""
    mean = torch.bmm(weights, gradient[..., None])
    slope = (gradient[:, None, :] - mean).mul_(weights).mul_(average[..., None])
    return slope.view(-1, weights.shape[-1])


def _valid(mask: Tensor | None, row: int) -> Any:
    return slice(None) if mask is None else mask[row]
