r"""MIMIC's matching of pictures in both directions (VDLU, section 3.3.2): each side asks the other's patches.

One direction, of a query (a picture's global vector q) to a key (the other's global vector k and patches X):

    z = F LN1(q + mean X) + d,   o = LN2(tanh(g z) z + t),   score = <o, r>

The unit's score is the mean of entity to mention and mention to entity. The published code and the figure differ:

    code     q, k and mean X go through linear layers first; t = k and r = LN2(q)
    figure   no such layers; t = q and r = k

Nothing of width h is made for a pair. With centred q and x, LN1 is a division by one number, so that F LN1(q + x) is
(A q + A x) / s + c with A = F diag(gain); the gate's argument, what LN2 needs (the sum of squares of the centred
vector) and the product with r are then sums of inner products between vectors of either side: five matrix products
for all pairs of one direction, and arithmetic on [queries, keys].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from melder.features import Heads, Side
from melder.ops.bounds import norm_upper_bound
from melder.ops.global_local import Norm
from melder.ops.pooled_attention import tiles
from melder.protocols import SideTensor
from melder.units.absent import Absent

__all__ = ["Variant", "VisionDual"]

Variant = Literal["code", "figure"]

PAIR_FLOATS = 16  # numbers held for a pair while one direction is scored


class VisionDual(nn.Module):
    """Sides: `query`, `key`, `patches` [n, h] and `present` [n]; without vision `present` alone.

    Args:
        width: Of the pictures' features and of everything in the unit.
    """

    has_vectors, has_bounds, aligns, reads_pictures = False, True, False, True
    entity_tensors: Mapping[str, SideTensor] = {name: SideTensor() for name in ("query", "key", "patches", "present")}

    def __init__(self, width: int, variant: Variant = "code") -> None:
        super().__init__()
        self.variant = variant
        self.entity_to_mention = Direction(width, variant)
        self.mention_to_entity = Direction(width, variant)
        self.absent = Absent()

    def entity_side(self, heads: Heads) -> Side:
        return _side(heads, self.entity_to_mention, self.mention_to_entity)

    def mention_side(self, heads: Heads) -> Side:
        return _side(heads, self.mention_to_entity, self.entity_to_mention)

    def score(self, mentions: Side, entities: Side) -> Tensor:
        """[mentions, entities], some entities at a time."""
        if "query" not in mentions or "query" not in entities:
            return self.absent.everywhere(mentions, entities)
        parts = [
            self._score(mentions, entities.take(tile)) for tile in tiles(entities.rows, PAIR_FLOATS * mentions.rows)
        ]
        return self.absent.forward(torch.cat(parts, dim=1), mentions, entities)

    def mention_bounds(self, side: Side) -> Tensor:
        """[n, 3]; see `entity_bounds`."""
        reading = self.mention_to_entity if self.variant == "code" else self.entity_to_mention
        present = side["present"].to(self.absent.constant.dtype)
        return torch.stack([reading.upper_bound(side) / 2 * present, present, torch.ones_like(present)], dim=1)

    def entity_bounds(self, side: Side) -> Tensor:
        """[n, 3]: each direction's score is at most a constant of the side that its LayerNorm's output is read by.

        With those bounds M and E, the constant c and p = 1 where there is a picture:
        p_m p_e (M / 2 + E / 2 - c) + c = <[p_m M / 2, p_m, 1], [p_e, p_e (E / 2 - c), c]>.
        """
        reading = self.entity_to_mention if self.variant == "code" else self.mention_to_entity
        present = side["present"].to(self.absent.constant.dtype)
        constant = self.absent.constant.expand_as(present)
        return torch.stack([present, (reading.upper_bound(side) / 2 - constant) * present, constant], dim=1)

    def _score(self, mentions: Side, entities: Side) -> Tensor:
        return (
            self.entity_to_mention.score(entities, mentions).t() + self.mention_to_entity.score(mentions, entities)
        ) / 2


class Direction(nn.Module):
    """From queries to keys; the variant says which of its layers there are."""

    def __init__(self, width: int, variant: Variant) -> None:
        super().__init__()
        self.variant = variant
        self.whole = nn.Linear(width, width) if variant == "code" else nn.Identity()
        self.patches = nn.Linear(width, width) if variant == "code" else nn.Identity()
        self.sum_norm = nn.LayerNorm(width)
        self.mix = nn.Linear(width, width)
        self.gate = nn.Linear(width, 1)
        self.norm = nn.LayerNorm(width)

    def score(self, queries: Side, keys: Side) -> Tensor:
        """[queries, keys] of sides with `query`, and with `key` and `patches`."""
        kind = self.norm.weight.dtype
        query, key = queries["query"].to(kind)[:, None], keys["key"].to(kind)[None]
        added, reader = (key, self.norm(query)) if self.variant == "code" else (query, key)
        rate, *mixed = self._mix(query, keys["patches"].to(kind)[None])
        argument = rate * (_dot(mixed[0], self.gate.weight) + _dot(mixed[1], self.gate.weight))
        constant = self._constant()
        gate = (argument + _dot(constant, self.gate.weight) + self.gate.bias).tanh()
        factors = (rate * gate, rate * gate, gate, torch.ones_like(gate[:1, :1]))
        return self._read(factors, (*mixed, constant, added), reader)

    def upper_bound(self, side: Side) -> Tensor:
        """[n]: the most that the score can be, of the side that reads; zeros without vision."""
        if "query" not in side:
            return torch.zeros(side.rows, dtype=self.norm.weight.dtype, device=self.norm.weight.device)
        reader = self.norm(side["query"].to(self.norm.weight.dtype)) if self.variant == "code" else side["key"]
        norm = Norm(self.norm.weight, self.norm.bias, self.norm.eps)
        return norm_upper_bound(reader.to(self.norm.weight.dtype), norm)

    def _mix(self, query: Tensor, patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """1 / deviation of q + x, for all pairs, and A q and A x."""
        query, patches = _centred(query), _centred(patches)
        square = _dot(query, query) + 2 * _dot(query, patches) + _dot(patches, patches)
        layer = self.mix.weight * self.sum_norm.weight
        return _rate(square, self.sum_norm), query @ layer.t(), patches @ layer.t()

    def _constant(self) -> Tensor:
        """c [1, 1, h]: what z is, whatever the pair."""
        return (self.mix.weight @ self.sum_norm.bias + self.mix.bias)[None, None]

    def _read(self, factors: tuple[Tensor, ...], vectors: tuple[Tensor, ...], reader: Tensor) -> Tensor:
        """<LN2(sum of factor * vector), reader>, [queries, keys]."""
        vectors = tuple(_centred(vector) for vector in vectors)
        product, square = torch.zeros_like(factors[0]), torch.zeros_like(factors[0])
        for number, (factor, vector) in enumerate(zip(factors, vectors, strict=True)):
            product = product + factor * _dot(vector, reader * self.norm.weight)
            square = square + factor.square() * _dot(vector, vector)
            for other in range(number):
                square = square + 2 * factor * factors[other] * _dot(vector, vectors[other])
        return product * _rate(square, self.norm) + _dot(reader, self.norm.bias)


def _side(heads: Heads, asking: Direction, asked: Direction) -> Side:
    if heads.image_global is None or heads.image_tokens is None:
        return Side({"present": heads.has_image})
    # The mean over patches comes before the linear layer, which costs one row a picture then.
    patches = asked.patches(heads.image_tokens.mean(dim=1))
    query, key = asking.whole(heads.image_global), asked.whole(heads.image_global)
    return Side({"query": query, "key": key, "patches": patches, "present": heads.has_image})


def _dot(left: Tensor, right: Tensor) -> Tensor:
    """Inner products of [Q, 1, h], [1, K, h] or [1, 1, h] with another such; a matrix product between Q and K."""
    return torch.einsum("...h,...h->...", left, right)


def _centred(vectors: Tensor) -> Tensor:
    return vectors - vectors.mean(dim=-1, keepdim=True)


def _rate(square: Tensor, norm: nn.LayerNorm) -> Tensor:
    """1 / deviation from the sum of squares of centred vectors; rounding may leave a small negative one."""
    return (square.clamp(min=0) / norm.normalized_shape[0] + norm.eps).rsqrt()
