r"""Scores of OT-MEL's unimodal matcher (section 3.2; official `UniModelMatcher`), for transport and attention alike.

For a pair of an entity with queries q_i [L_e, h] and a mention with values v_j [L_m, h], and T_ij the assignment of
tokens (`melder.ops.assignment`), each row divided by its norm (`row_norm`: l2 as published, or l1),

    x_i = LayerNorm(sum_j T_ij v_j + q_i)
    c   = LayerNorm(sum_i softmax_i(w x_i) x_i)          score = <t, c>

with t [h] a projection of the entity's global vector. `plain_scores` does what this says and holds [mentions,
entities, L_e, h] tensors: the oracle. `residual_scores` goes by tiles in the cache, computed again for gradients:

* Queries and values are centred beforehand, so that the inner LayerNorm needs no mean, and nothing cancels.
* It is scale-free, so that rows of T are not divided: the query is multiplied by the row's norm instead.
* Its weight and bias are applied after the positions are pooled, to one vector a pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from melder.ops.assigned_pairs import EntityTile, MentionTokens, assigned, scores_by_tiles
from melder.ops.assignment import Assignment, aligned
from melder.ops.global_local import AttentionQueries, Keys, Norm
from melder.ops.masks import masked_softmax

__all__ = ["Pooling", "RowNorm", "normalised_rows", "plain_scores", "residual_scores"]

RowNorm = Literal["l2", "l1"]


@dataclass
class Pooling:
    """How the positions of an entity become one vector.

    Args:
        position: The LayerNorm of the positions.
        weight: [h], whose inner product with a position says what that weighs.
        pooled: The LayerNorm of the pooled vector.
        row_norm: What the rows of the assignment have norm 1 in.
        dropout: Share of the assignment's entries that are lost.
    """

    position: Norm
    weight: Tensor
    pooled: Norm
    row_norm: RowNorm = "l2"
    dropout: float = 0.0


def normalised_rows(weights: Tensor, row_norm: RowNorm) -> Tensor:
    """Rows of non-negative weights [..., L_m] divided by their L2 or L1 norm.

    Args:
        weights: [..., L_m], none negative.
        row_norm: l1 or l2.

    Returns:
        [..., L_m].
    """
    return functional.normalize(weights, p=1.0 if row_norm == "l1" else 2.0, dim=-1)


def plain_scores(assignment: Assignment, queries: AttentionQueries, keys: Keys, pooling: Pooling) -> Tensor:
    """The scores as the paper writes them, without dropout; slow and large.

    Args:
        assignment: Of tokens to tokens.
        queries: Of E entities.
        keys: Of M mentions.
        pooling: Of the positions.

    Returns:
        [M, E].
    """
    weights = normalised_rows(aligned(assignment, queries, keys)[0], pooling.row_norm)
    context = torch.einsum("meij,mjh->meih", weights, keys.value)
    positions = _normalise(context + queries.query, pooling.position)
    share = masked_softmax(positions @ pooling.weight, queries.mask)
    pooled = torch.einsum("mei,meih->meh", share, positions)
    return torch.einsum("meh,eh->me", _normalise(pooled, pooling.pooled), queries.target)


def residual_scores(assignment: Assignment, queries: AttentionQueries, keys: Keys, pooling: Pooling) -> Tensor:
    """The scores, differentiable; equal to `plain_scores` to rounding.

    Args:
        assignment: Of tokens to tokens.
        queries: Of E entities.
        keys: Of M mentions.
        pooling: Of the positions.

    Returns:
        [M, E], in the type of `pooling.weight`.
    """
    prepare = partial(_Pairs, assignment, pooling)
    return scores_by_tiles(prepare, assignment, queries, keys, pooling.weight.dtype)


class _Pairs:
    """Scores [T] of the entities of a tile and one mention after the other."""

    def __init__(self, assignment: Assignment, pooling: Pooling, entities: EntityTile) -> None:
        self.assignment, self.pooling, self.entities = assignment, pooling, entities
        self.direction = pooling.position.weight * pooling.weight
        self.query = _centred(entities.tokens).reshape(entities.query.shape)
        self.query_logit = self.query @ self.direction

    def __call__(self, mention: MentionTokens) -> Tensor:
        tile, pooling = self.entities, self.pooling
        weights = assigned(self.assignment, tile, mention)
        norm = torch.linalg.vector_norm(weights, ord=1 if pooling.row_norm == "l1" else 2, dim=-1).view(-1)
        plan = functional.dropout(weights, pooling.dropout).view(len(norm), -1)
        value = _centred(mention.value)
        rows = (self.query * norm[:, None]).addmm_(plan, value)
        logits = torch.addcmul(plan @ (value @ self.direction), norm, self.query_logit)
        return self._pool(rows, norm, logits)

    def _pool(self, rows: Tensor, norm: Tensor, logits: Tensor) -> Tensor:
        """rows [T * L_e, h], and logits that are their inner products with `direction`, are those of the formula
        times `norm`, before the LayerNorm and without their mean."""
        tile, position = self.entities, self.pooling.position
        variance = torch.linalg.vector_norm(rows, dim=-1).square() / rows.shape[-1]
        scale = (variance + position.epsilon * norm.square()).rsqrt()
        share = masked_softmax((logits * scale).view(tile.mass.shape), tile.mask) * scale.view(tile.mass.shape)
        pooled = torch.bmm(share[:, None], rows.view(*tile.mass.shape, -1))[:, 0]
        pooled = torch.addcmul(position.bias, pooled, position.weight)
        return (_normalise(pooled, self.pooling.pooled) * tile.target).sum(dim=-1)


def _centred(tokens: Tensor) -> Tensor:
    return tokens - tokens.mean(dim=-1, keepdim=True)


def _normalise(context: Tensor, norm: Norm) -> Tensor:
    return functional.layer_norm(context, context.shape[-1:], norm.weight, norm.bias, norm.epsilon)
