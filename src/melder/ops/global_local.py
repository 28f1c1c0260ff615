r"""Global-to-local attention scores, the costly part of MIMIC, M3EL and their kin.

For every pair of an entity with queries Q [L_e, h] and a mention with keys and values K, V [L_m, h],

    A = softmax(Q K^T / sqrt(h)),   c = LayerNorm(mean_i (A V)_i),   score = <t, c>

with t [h] a projection of the entity's global vector (MIMIC's TGLU, section 3.3; M3EL's TIMM and IIMM, section
3.2). Three ways to the same number, to rounding:

* `plain_scores` does what the formula says and holds a [mentions, entities, L_e, h] tensor: the oracle.
* `pooled_scores` uses mean_i (A V)_i = (mean_i A_i) V, and `melder.ops.pooled_attention` for mean_i A_i;
  differentiable, for training.
* `melder.ops.tiled_scores` goes from a few entities and mentions to their scores while everything is in the cache; for
  evaluation, without gradients.

Both of these leave padded mention tokens out altogether.

The last two compute in the type of the LayerNorm, whatever smaller one the sides were stored in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from melder.ops.masks import masked_mean, masked_softmax, never_empty, uniform_weights
from melder.ops.pooled_attention import PooledAttention

__all__ = ["AttentionQueries", "Keys", "Norm", "attention", "average_of", "normalise", "plain_scores", "pooled_scores"]


@dataclass
class AttentionQueries:
    """The entities' side.

    Args:
        query: [E, L_e, h].
        target: [E, h].
        mask: [E, L_e], True = valid; None = all are.
        mass: [E, L_e], the marginal of a transport plan, zero at padding; None = uniform. Attention does not read it.
        share: [E, L_e], what each token weighs in the mean, zero at padding; None = all alike.
    """

    query: Tensor
    target: Tensor
    mask: Tensor | None = None
    mass: Tensor | None = None
    share: Tensor | None = None

    def to(self, kind: torch.dtype) -> AttentionQueries:
        query, target = self.query.to(kind), self.target.to(kind)
        return AttentionQueries(query, target, self.mask, _to(self.mass, kind), _to(self.share, kind))


@dataclass
class Keys:
    """The mentions' side.

    Args:
        key: [M, L_m, h].
        value: [M, L_m, h].
        mask: [M, L_m], True = valid; None = all are.
        mass: [M, L_m], as in `AttentionQueries`.
    """

    key: Tensor
    value: Tensor
    mask: Tensor | None = None
    mass: Tensor | None = None

    def to(self, kind: torch.dtype) -> Keys:
        return Keys(self.key.to(kind), self.value.to(kind), self.mask, _to(self.mass, kind))


@dataclass
class Norm:
    """A LayerNorm's numbers.

    Args:
        weight: [h].
        bias: [h].
        epsilon: What is added to the variance.
    """

    weight: Tensor
    bias: Tensor
    epsilon: float = 1e-5


def attention(queries: AttentionQueries, keys: Keys) -> tuple[Tensor, Tensor]:
    """Attention weights and logits, both [M, E, L_e, L_m]; padded mention tokens get no weight.

    Args:
        queries: Of E entities.
        keys: Of M mentions.

    Returns:
        Both.
    """
    scaled = keys.key / math.sqrt(keys.key.shape[-1])
    logits = torch.einsum("eih,mjh->meij", queries.query, scaled)
    mask = None if keys.mask is None else keys.mask[:, None, None, :]
    return masked_softmax(logits, mask), logits


def plain_scores(queries: AttentionQueries, keys: Keys, norm: Norm) -> Tensor:
    """The scores as the papers write them; slow and large.

    Args:
        queries: Of E entities.
        keys: Of M mentions.
        norm: Of what a mention's tokens are to an entity.

    Returns:
        [M, E].
    """
    weights, _ = attention(queries, keys)
    context = torch.einsum("meij,mjh->meih", weights, keys.value)
    mentions, entities, length, hidden = context.shape
    if queries.share is None:
        mask = None if queries.mask is None else queries.mask.repeat(mentions, 1)
        mean = masked_mean(context.reshape(-1, length, hidden), mask).view(mentions, entities, hidden)
    else:
        mean = torch.einsum("ei,meih->meh", queries.share, context)
    return torch.einsum("meh,eh->me", normalise(mean, norm), queries.target)


def pooled_scores(queries: AttentionQueries, keys: Keys, norm: Norm) -> Tensor:
    """The scores, differentiable; attention is computed again in the backward pass instead of being held.

    Args:
        queries: Of E entities.
        keys: Of M mentions.
        norm: Of what a mention's tokens are to an entity.

    Returns:
        [M, E], in the type of the LayerNorm.
    """
    kind = norm.weight.dtype
    queries, keys = queries.to(kind), keys.to(kind)
    average = average_of(queries, kind)
    scaled = keys.key / math.sqrt(keys.key.shape[-1])
    pooled = cast(Tensor, PooledAttention.apply(queries.query, scaled, average, never_empty(keys.mask)))  # type: ignore[no-untyped-call]
    return torch.einsum("meh,eh->me", normalise(pooled @ keys.value, norm), queries.target)


def average_of(queries: AttentionQueries, kind: torch.dtype) -> Tensor:
    """What each token of an entity weighs in the mean.

    Args:
        queries: Of E entities.
        kind: The type of the result.

    Returns:
        [E, L_e].
    """
    if queries.share is not None:
        return queries.share.to(kind)
    if queries.mask is not None:
        return uniform_weights(queries.mask, kind)
    return queries.target.new_full(queries.query.shape[:2], 1 / queries.query.shape[1], dtype=kind)


def _to(mass: Tensor | None, kind: torch.dtype) -> Tensor | None:
    return None if mass is None else mass.to(kind)


def normalise(context: Tensor, norm: Norm) -> Tensor:
    """A LayerNorm carried out.

    Args:
        context: [..., h].
        norm: The LayerNorm.

    Returns:
        [..., h].
    """
    return functional.layer_norm(context, context.shape[-1:], norm.weight, norm.bias, norm.epsilon)
