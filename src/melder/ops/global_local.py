r"""Global-to-local attention scores, the costly part of MIMIC, M3EL and their kin.

For every pair of an entity with queries Q [L_e, h] and a mention with keys and values K, V [L_m, h],

    A = softmax(Q K^T / sqrt(h)),   c = LayerNorm(mean_i (A V)_i),   score = <t, c>

with t [h] a projection of the entity's global vector (MIMIC's TGLU, M3EL's TIMM and IIMM; `specs` in the papers:
MIMIC section 3.3, M3EL section 3.2). Three ways to the same number, to rounding:

* `plain_scores` does what the formula says and holds a [mentions, entities, L_e, h] tensor: the oracle.
* `pooled_scores` uses mean_i (A V)_i = (mean_i A_i) V, so that only A is held; differentiable, for training.
* `tiled_scores` does that for a few entities and one mention at a time, so that A stays in the cache, and leaves
  padded mention tokens out altogether; for evaluation, without gradients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from melder.ops.masks import masked_mean, masked_softmax, never_empty, uniform_weights

__all__ = ["Keys", "Norm", "Queries", "attention", "plain_scores", "pooled_scores", "tiled_scores"]

# Logits of one tile, in floats: with the weights beside them they fit in a core's second-level cache.
TILE_FLOATS = 100_000


@dataclass
class Queries:
    """The entities' side: query [E, L_e, h], target [E, h], mask [E, L_e] or None."""

    query: Tensor
    target: Tensor
    mask: Tensor | None = None


@dataclass
class Keys:
    """The mentions' side: key and value [M, L_m, h], mask [M, L_m] or None."""

    key: Tensor
    value: Tensor
    mask: Tensor | None = None


@dataclass
class Norm:
    """A LayerNorm's weight and bias [h], and its epsilon."""

    weight: Tensor
    bias: Tensor
    epsilon: float = 1e-5


def attention(queries: Queries, keys: Keys) -> tuple[Tensor, Tensor]:
    """Attention weights and logits, both [M, E, L_e, L_m]; padded mention tokens get no weight."""
    scaled = keys.key / math.sqrt(keys.key.shape[-1])
    logits = torch.einsum("eih,mjh->meij", queries.query, scaled)
    mask = None if keys.mask is None else keys.mask[:, None, None, :]
    return masked_softmax(logits, mask), logits


def plain_scores(queries: Queries, keys: Keys, norm: Norm) -> Tensor:
    """[M, E], as the papers write it; slow and large."""
    weights, _ = attention(queries, keys)
    context = torch.einsum("meij,mjh->meih", weights, keys.value)
    many, entities, length, hidden = context.shape
    mask = None if queries.mask is None else queries.mask.repeat(many, 1)
    mean = masked_mean(context.reshape(-1, length, hidden), mask).view(many, entities, hidden)
    return torch.einsum("meh,eh->me", _normalise(mean, norm), queries.target)


def pooled_scores(queries: Queries, keys: Keys, norm: Norm, weights: Tensor | None = None) -> Tensor:
    """[M, E], differentiable; `weights` are `attention`'s where they are already known."""
    weights = attention(queries, keys)[0] if weights is None else weights
    if queries.mask is None:
        pooled = weights.mean(dim=2)
    else:
        pooled = torch.einsum("ei,meij->mej", uniform_weights(queries.mask, weights.dtype), weights)
    return torch.einsum("meh,eh->me", _normalise(pooled @ keys.value, norm), queries.target)


@torch.no_grad()
def tiled_scores(queries: Queries, keys: Keys, norm: Norm, out: Tensor | None = None) -> Tensor:
    """[M, E], without gradients; equal to `plain_scores` to rounding, many times faster on a CPU."""
    many, entities = len(keys.key), len(queries.query)
    out = queries.target.new_empty(many, entities) if out is None else out
    mentions = [_trimmed(keys, row) for row in range(many)]
    average = None if queries.mask is None else uniform_weights(queries.mask, queries.query.dtype)
    width = queries.query.shape[1] * keys.key.shape[1]
    step = max(1, TILE_FLOATS // max(1, width))
    for start in range(0, entities, step):
        tile = slice(start, start + step)
        longest = _longest(queries.mask, tile)
        query = queries.query[tile, :longest].to(queries.target.dtype)
        rows = None if average is None else average[tile, None, :longest]
        for row, (key, value) in enumerate(mentions):
            context = _pool_tile(query, key, rows) @ value
            out[row, tile] = (_normalise(context, norm) * queries.target[tile]).sum(dim=-1)
    return out


def _pool_tile(query: Tensor, key: Tensor, average: Tensor | None) -> Tensor:
    """[T, L_m]: the attention of T entities to one mention's keys [h, L_m], averaged over the entity's tokens."""
    tile, length, hidden = query.shape
    weights = (query.reshape(tile * length, hidden) @ key).softmax(dim=-1).view(tile, length, -1)
    return weights.mean(dim=1) if average is None else torch.bmm(average, weights)[:, 0]


def _trimmed(keys: Keys, row: int) -> tuple[Tensor, Tensor]:
    """One mention's scaled keys [h, L_m] and values [L_m, h], valid tokens only."""
    key, value, mask = keys.key[row], keys.value[row], never_empty(keys.mask)
    if mask is not None:
        key, value = key[mask[row]], value[mask[row]]
    return (key / math.sqrt(key.shape[-1])).t().contiguous(), value


def _longest(mask: Tensor | None, tile: slice) -> int | None:
    """How many leading tokens the longest entity of a tile needs; None = all (also for empty entities)."""
    if mask is None:
        return None
    return int(mask[tile].any(dim=0).nonzero().max()) + 1 if bool(mask[tile].any(dim=1).all()) else None


def _normalise(context: Tensor, norm: Norm) -> Tensor:
    return functional.layer_norm(context, context.shape[-1:], norm.weight, norm.bias, norm.epsilon)
