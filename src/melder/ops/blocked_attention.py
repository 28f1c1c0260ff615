"""Pooled attention as a GPU wants it: blocks of many pairs, padding masked rather than cut off, no number read back.

A CPU is quickest with tiles of one mention in its cache (`melder.ops.pooled_attention`). A GPU would wait for the host
at each of them, since how long a mention is must be known to cut it; here its kernels are queued without a stop.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["pooled_by_blocks", "pooled_gradients"]

# Logits of one block, in floats: 256 MB, and about three times as much with what is computed of them.
BLOCK_FLOATS = 1 << 26


def pooled_by_blocks(query: Tensor, key: Tensor, average: Tensor, mask: Tensor | None) -> Tensor:
    """What `PooledAttention` gives.

    Args:
        query: [E, L_e, h]
        key: [M, L_m, h], scaled.
        average: [E, L_e], weights of an entity's tokens.
        mask: [M, L_m], True = valid, at least once a row; None = all are.

    Returns:
        [M, E, L_m], zero at padding.
    """
    pooled = query.new_empty(len(key), len(query), key.shape[1])
    for entities, mentions in _blocks(query, key):
        weights = _attention(query[entities], key[mentions], None if mask is None else mask[mentions])
        flat = torch.bmm(average[entities, None], weights.flatten(2))
        pooled[mentions, entities] = flat.view(len(flat), *weights.shape[2:]).transpose(0, 1)
    return pooled


def pooled_gradients(
    query: Tensor, key: Tensor, average: Tensor, mask: Tensor | None, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of `query` and `key`, from that of the result [M, E, L_m]; the attention is computed again.

    Args:
        query: [E, L_e, h].
        key: [M, L_m, h], scaled.
        average: [E, L_e], what each token weighs in the mean.
        mask: [M, L_m], True = valid; None = all are.
        gradient: [M, E, L_m], of the result.

    Returns:
        Of the shapes of `query` and `key`.
    """
    query_gradient, key_gradient = torch.zeros_like(query), torch.zeros_like(key)
    for entities, mentions in _blocks(query, key):
        block_query, block_key = query[entities], key[mentions]
        weights = _attention(block_query, block_key, None if mask is None else mask[mentions])
        incoming = gradient[mentions, entities].transpose(0, 1)[:, None]  # [T, 1, G, L_m]
        mean = (weights * incoming).sum(dim=-1, keepdim=True)
        slope = ((incoming - mean) * weights * average[entities, :, None, None]).flatten(2).flatten(0, 1)
        query_gradient[entities] += (slope @ block_key.flatten(0, 1)).view(block_query.shape)
        key_gradient[mentions] += (slope.t() @ block_query.flatten(0, 1)).view(block_key.shape)
    return query_gradient, key_gradient


def _blocks(query: Tensor, key: Tensor) -> Iterator[tuple[slice, slice]]:
    """Entities and mentions whose pairs have `BLOCK_FLOATS` logits together, or one pair."""
    pairs = max(1, BLOCK_FLOATS // max(1, query.shape[1] * key.shape[1]))
    mentions = min(len(key), pairs)
    entities = max(1, pairs // max(1, mentions))
    for start in range(0, len(query), entities):
        for first in range(0, len(key), max(1, mentions)):
            yield slice(start, start + entities), slice(first, first + mentions)


def _attention(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """[T, L_e, G, L_m]: softmax over the last axis of queries [T, L_e, h] against keys [G, L_m, h]."""
    logits = query.flatten(0, 1) @ key.flatten(0, 1).t()
    logits = logits.view(*query.shape[:2], *key.shape[:2])
    if mask is not None:
        logits = logits.masked_fill(~mask, float("-inf"))
    return logits.softmax(dim=-1)
