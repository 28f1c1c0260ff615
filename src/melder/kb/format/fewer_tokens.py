"""A side with fewer tokens: those of an entity that are most alike are one, where its unit allows it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from melder.features import Side
from melder.ops.masks import uniform_weights
from melder.ops.token_merging import merge_tokens
from melder.protocols import SideTensor

__all__ = ["with_fewer_tokens"]


def with_fewer_tokens(side: Side, declared: Mapping[str, SideTensor], count: int) -> Side:
    """The side with at most `count` tokens of an entity in each tensor that declares a `share`, and these shares.

    A mask of what was merged says where tokens are left. All other tensors stay as they are.

    Args:
        side: Of entities.
        declared: How the store may hold each tensor.
        count: Tokens an entity, of which the most alike are merged.

    Returns:
        The side.
    """
    tensors = dict(side)
    for name, form in declared.items():
        if form.share is None or name not in side:
            continue
        mask = side.get(form.tokens) if form.tokens is not None else None
        tokens, shares = _merged(side[name], mask, count)
        tensors |= {name: tokens, form.share: shares}
        if mask is not None and form.tokens is not None:
            tensors[form.tokens] = (shares > 0) & mask.any(dim=-1, keepdim=True)
    return Side(tensors)


def _merged(tokens: Tensor, mask: Tensor | None, count: int) -> tuple[Tensor, Tensor]:
    """Of tokens [..., L, h] and a mask [..., L]: [..., n, h], and what each counts [..., n]."""
    shape = tokens.shape[:-1]
    valid = tokens.new_ones(shape, dtype=torch.bool) if mask is None else mask
    shares = uniform_weights(valid, tokens.dtype)
    flat, weights = merge_tokens(tokens.reshape(-1, *tokens.shape[-2:]), shares.reshape(-1, shape[-1]), count)
    return flat.view(*shape[:-1], *flat.shape[1:]), weights.view(*shape[:-1], weights.shape[1])
