r"""The scores of `melder.ops.global_local` with a transport plan in the place of attention.

    score = <t, LayerNorm(mean_i (T V)_i)>,   T = rows of the plan, each divided by its sum

by the same re-association, mean_i (T V)_i = (mean_i T_i) V, tile by tile; differentiable.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from melder.ops.assigned_pairs import EntityTile, MentionTokens, assigned, scores_by_tiles
from melder.ops.assignment import Assignment
from melder.ops.global_local import AttentionQueries, Keys, Norm

__all__ = ["transported_scores"]


def transported_scores(assignment: Assignment, queries: AttentionQueries, keys: Keys, norm: Norm) -> Tensor:
    """Scores of all pairs under transport with uniform marginals.

    Args:
        assignment: Of tokens to tokens.
        queries: Of E entities.
        keys: Of M mentions.
        norm: Of what a mention's tokens are to an entity.

    Returns:
        [M, E], in the type of the LayerNorm.
    """

    def prepare(tile: EntityTile) -> partial[Tensor]:
        return partial(_pairs, assignment, norm, tile)

    return scores_by_tiles(prepare, assignment, queries, keys, norm.weight.dtype)


def _pairs(assignment: Assignment, norm: Norm, entities: EntityTile, mention: MentionTokens) -> Tensor:
    weights = assigned(assignment, entities, mention)
    share = entities.mass / weights.sum(dim=-1)
    context = torch.bmm(share[:, None], weights)[:, 0] @ mention.value
    normalised = functional.layer_norm(context, context.shape[-1:], norm.weight, norm.bias, norm.epsilon)
    return (normalised * entities.target).sum(dim=-1)
