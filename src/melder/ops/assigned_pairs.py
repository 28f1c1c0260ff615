"""Going through all pairs of entities and mentions tile by tile, to score them by assigned tokens.

A tile is some entities and one mention, small enough that all that is computed for it stays in the cache. With
gradients nothing of a tile is kept: the backward pass computes it again.

A GPU is not waited for: there nothing is cut off, which would take the host to know how long it is; padding is masked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from melder.ops.assignment import Assignment, assign
from melder.ops.global_local import AttentionQueries, Keys
from melder.ops.masks import never_empty, uniform_weights

__all__ = ["EntityTile", "MentionTokens", "assigned", "scores_by_tiles"]

# Floats of a tile's widest tensor, [entities, tokens, hidden]: a few such tensors fit in the cache.
TILE_FLOATS = 600_000
DEVICE_FLOATS = 1 << 25  # the same on a GPU: 128 MB


@dataclass
class EntityTile:
    """Some entities that are scored together.

    Args:
        query: [T * L, h], as the assignment wants it.
        tokens: [T, L, h], as they are.
        target: [T, h].
        mass: [T, L], the marginal: it sums to 1 and is zero at padding.
        mask: [T, L], True = valid; None = all are.
        longest: No query is longer than this.
    """

    query: Tensor
    tokens: Tensor
    target: Tensor
    mass: Tensor
    mask: Tensor | None
    longest: float


@dataclass
class MentionTokens:
    """One mention's tokens: on a CPU the valid ones, elsewhere all of them.

    Args:
        key: [h, L], as the assignment wants it.
        value: [L, h].
        mass: [L], the marginal.
        longest: No key is longer than this.
        mask: [L], True = valid; None = all are.
    """

    key: Tensor
    value: Tensor
    mass: Tensor
    longest: float
    mask: Tensor | None = None


Pairs = Callable[[MentionTokens], Tensor]


def scores_by_tiles(
    prepare: Callable[[EntityTile], Pairs],
    assignment: Assignment,
    queries: AttentionQueries,
    keys: Keys,
    kind: torch.dtype,
) -> Tensor:
    """Scores of all pairs, a tile of entities and a mention at a time.

    Args:
        prepare: Of a tile, what scores its T entities and one mention, [T].
        assignment: Of tokens to tokens.
        queries: Of E entities.
        keys: Of M mentions.
        kind: The type that is computed in.

    Returns:
        [M, E], in this type.
    """
    mentions = _mentions(assignment, keys.to(kind))
    size = queries.query.shape[1] * max(queries.query.shape[2], keys.key.shape[1])
    step = max(1, (TILE_FLOATS if _on_cpu(keys.key) else DEVICE_FLOATS) // max(1, size))
    columns = []
    for start in range(0, len(queries.query), step):
        pairs = prepare(_tile(assignment, queries, slice(start, start + step), kind))
        rows = [_again(pairs, one) if torch.is_grad_enabled() else pairs(one) for one in mentions]
        columns.append(torch.stack(rows))
    return torch.cat(columns, dim=1)


def _again(pairs: Pairs, mention: MentionTokens) -> Tensor:
    """Scores that keep no tensor of the tile; dropout is the same the second time."""
    return cast(Tensor, checkpoint(pairs, mention, use_reentrant=False))


def _tile(assignment: Assignment, queries: AttentionQueries, rows: slice, kind: torch.dtype) -> EntityTile:
    """Padding that all the entities of a tile have is cut off."""
    mask = never_empty(None if queries.mask is None else queries.mask[rows])
    end = None if mask is None or not _on_cpu(mask) else int(mask.any(dim=0).nonzero().max()) + 1
    mask = None if mask is None else mask[:, :end]
    tokens = queries.query[rows, :end].to(kind)
    query = assignment.query(tokens).reshape(-1, tokens.shape[-1])
    mass = None if queries.mass is None else queries.mass[rows, :end].to(kind)
    return EntityTile(query, tokens, queries.target[rows].to(kind), _mass(mass, mask, tokens), mask, _longest(query))


def _mentions(assignment: Assignment, keys: Keys) -> list[MentionTokens]:
    mask = never_empty(keys.mask)
    mass = _mass(keys.mass, mask, keys.key)
    key, value = assignment.key(keys.key), keys.value
    longest = _longest(key)
    if not _on_cpu(key):
        masks = [None] * len(key) if mask is None else list(mask)
        rows = zip(key.transpose(1, 2), value, mass, masks, strict=True)
        return [MentionTokens(k, v, own_mass, longest, own_mask) for k, v, own_mass, own_mask in rows]
    valid = [slice(None)] * len(key) if mask is None else list(mask)
    return [
        MentionTokens(key[row][one].t().contiguous(), value[row][one], mass[row][one], longest)
        for row, one in enumerate(valid)
    ]


def assigned(assignment: Assignment, entities: EntityTile, mention: MentionTokens) -> Tensor:
    """Unscaled rows of the assignment, [T, L_e, L_m].

    Args:
        assignment: Of tokens to tokens.
        entities: A tile of T.
        mention: One.

    Returns:
        [T, L_e, L_m], whose rows may have any sum.
    """
    largest = entities.longest * mention.longest
    return assign(assignment, entities.query, mention.key, entities.mass, mention.mass, largest, mention.mask)


def _on_cpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


def _longest(vectors: Tensor) -> float:
    """Infinite where finding out would mean to wait for a GPU: what is safe for any length is computed then."""
    if not _on_cpu(vectors):
        return float("inf")
    return float(torch.linalg.vector_norm(vectors.detach(), dim=-1).max())


def _mass(given: Tensor | None, mask: Tensor | None, tokens: Tensor) -> Tensor:
    """[n, L] of tokens [n, L, h]: the marginals given, or uniform ones over the valid tokens."""
    if given is not None:
        return given
    if mask is not None:
        return uniform_weights(mask, tokens.dtype)
    return tokens.new_full(tokens.shape[:2], 1 / tokens.shape[1])
