"""Global-to-local attention scores for evaluation: from a few entities and mentions to their scores while everything is
in the cache, and little computed for padding.

Mentions of equal length share one matrix product; entities, unless they are few, go shortest first, so that those of a
tile are about equally long. With `products` in bfloat16 that product, two thirds of the work, is as fast as the
processor's instructions for it allow; softmax, means and LayerNorm stay in the LayerNorm's type. The product has a
multiple of eight columns: with 27 of them it would take as long as with 48.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from melder.features import Rows
from melder.ops import pooled_attention
from melder.ops.global_local import AttentionQueries, Keys, Norm, average_of, normalise
from melder.ops.masks import never_empty
from melder.ops.pooled_attention import tiles
from melder.ops.softmax import LOG2E, softmax

__all__ = ["tiled_scores"]

RUN = 64  # entities, at least, that are padded to the longest of them
COLUMNS = 8  # of a product, or a multiple


@torch.no_grad()
def tiled_scores(queries: AttentionQueries, keys: Keys, norm: Norm, products: torch.dtype | None = None) -> Tensor:
    """[M, E], without gradients; equal to `plain_scores` to rounding, many times faster on a CPU.

    Args:
        queries: Of E entities.
        keys: Of M mentions.
        norm: Of what a mention's tokens are to an entity.
        products: The type of the products of queries and keys; None = the LayerNorm's.

    Returns:
        [M, E], in the type of the LayerNorm.
    """
    kind = norm.weight.dtype
    groups = list(_groups(keys.to(kind), products or kind))
    average, order = average_of(queries, kind), _shortest_first(queries.mask)
    scores = norm.weight.new_empty(len(keys.key), len(queries.query))
    room = _Room(norm.weight)
    for run in _runs(len(queries.query), queries.query.shape[1], groups):
        block = _run(queries, average, order, run)
        query, target = block.query.to(products or kind), block.target.to(kind)
        for group in groups:
            scores[group.rows, run] = _scored(room, query, target, block.average, group, norm)
    return scores if order is None else scores[:, order.rows.argsort()]


class _Room:
    """Memory that tile after tile is computed in. Were it allocated for each, mapping its pages would take as long as
    what is computed there."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._kept: dict[str, Tensor] = {}

    def empty(self, name: str, kind: torch.dtype, *shape: int) -> Tensor:
        """What was returned for this name before is overwritten."""
        size = math.prod(shape)
        if name not in self._kept or len(self._kept[name]) < size:
            self._kept[name] = self._like.new_empty(size, dtype=kind)
        return self._kept[name][:size].view(shape)

    def attend(self, query: Tensor, group: _Group) -> Tensor:
        """[T, L_e, G * L]: the attention of a tile, in the LayerNorm's type."""
        tile, length, hidden = query.shape
        shape = (tile * length, *group.value.shape[:2])
        logits = self.empty("products", query.dtype, tile * length, group.key.shape[1])
        torch.mm(query.reshape(tile * length, hidden), group.key, out=logits)
        if query.dtype != self._like.dtype or logits.shape[1] > shape[1] * shape[2]:
            logits = logits[:, : shape[1] * shape[2]]
            logits = self.empty("logits", self._like.dtype, *logits.shape).copy_(logits)
        weights = logits.view(shape)
        return softmax(weights, weights, base_two=True).view(tile, length, shape[1] * shape[2])


class _Order(NamedTuple):
    """Entities, shortest first, and how many leading tokens each of them needs."""

    rows: Tensor
    lengths: Tensor


class _Run(NamedTuple):
    """Some entities: query [R, L_e, h], target [R, h], average [R, L_e]."""

    query: Tensor
    target: Tensor
    average: Tensor


class _Group(NamedTuple):
    """G mentions with equally many valid tokens L: their rows, keys [h, G * L] scaled for powers of two, and perhaps
    some columns of zeros, values [G, L, h]."""

    rows: Rows
    key: Tensor
    value: Tensor


def _shortest_first(mask: Tensor | None) -> _Order | None:
    """None where all are equally long, or too few for it to matter."""
    if mask is None or len(mask) <= RUN or not mask.numel():
        return None
    valid = never_empty(mask)
    assert valid is not None
    places = torch.arange(1, valid.shape[1] + 1, device=valid.device)
    lengths, rows = (valid * places).amax(dim=1).sort(stable=True)
    return None if int(lengths[0]) == valid.shape[1] else _Order(rows, lengths)


def _runs(entities: int, length: int, groups: Sequence[_Group]) -> Iterator[slice]:
    """Slices of the entities: about a tile of a group's each, but several where there are few."""
    width = max(1, sum(group.key.shape[1] for group in groups) // max(1, len(groups)))
    step = max(RUN, min(pooled_attention.TILE_FLOATS // max(1, length * width), entities // 4))
    return (slice(start, start + step) for start in range(0, entities, step))


def _run(queries: AttentionQueries, average: Tensor, order: _Order | None, run: slice) -> _Run:
    if order is None:
        return _Run(queries.query[run], queries.target[run], average[run])
    rows, longest = order.rows[run], int(order.lengths[run][-1])
    cut = (queries.query[:, :longest], queries.target, average[:, :longest])
    return _Run(*(tensor.index_select(0, rows) for tensor in cut))


def _groups(keys: Keys, products: torch.dtype) -> Iterator[_Group]:
    if not len(keys.key):
        return
    scaled = (keys.key * (LOG2E / math.sqrt(keys.key.shape[-1]))).to(products)
    if keys.mask is None or bool(keys.mask.all()):  # as of one mention alone
        yield _group(slice(None), scaled.flatten(0, 1), keys.value)
        return
    mask = never_empty(keys.mask)
    assert mask is not None
    lengths = mask.sum(dim=1)
    for length in sorted(set(lengths.tolist())):
        rows = (lengths == length).nonzero().flatten()
        valid = mask[rows]
        yield _group(rows, scaled[rows][valid], keys.value[rows][valid].view(len(rows), length, -1))


def _group(rows: Rows, key: Tensor, value: Tensor) -> _Group:
    """Of keys [G * L, h] and values [G, L, h]."""
    padded = key.new_zeros(key.shape[1], -(-len(key) // COLUMNS) * COLUMNS)
    padded[:, : len(key)] = key.t()
    return _Group(rows, padded, value)


def _scored(room: _Room, query: Tensor, target: Tensor, average: Tensor, group: _Group, norm: Norm) -> Tensor:
    """[G, R] of a group's mentions and a run of entities: query [R, L_e, h], target [R, h], average [R, L_e]."""
    scores = target.new_empty(len(group.value), len(query))
    for tile in tiles(len(query), query.shape[1] * group.key.shape[1]):
        pooled = torch.bmm(average[tile, None], room.attend(query[tile], group)).view(-1, *group.value.shape[:2])
        context = torch.bmm(pooled.transpose(0, 1), group.value)
        scores[:, tile] = (normalise(context, norm) * target[tile]).sum(dim=-1)
    return scores
