"""The inner product of two vectors that a cross-modal block fused from text and picture, one for each side.

M3EL's CMM and MIMIC's CMFU are one such unit each, CMMB two of them (text to image, image to text); the block itself
runs once, in the matcher's heads.
"""

from __future__ import annotations

from torch import Tensor, nn

from melder.features import Heads, Side
from melder.units.absent import Absent

__all__ = ["InnerProduct", "inner_products"]


class InnerProduct(nn.Module):
    """Sides: `vector` [n, h], `present` [n] (text and picture are both there); without vision `present` alone."""

    def __init__(self, vector: str) -> None:
        super().__init__()
        self.vector = vector
        self.absent = Absent()

    def entity_side(self, heads: Heads) -> Side:
        present = {"present": heads.has_both}
        return Side({**present, "vector": heads.fused[self.vector]} if self.vector in heads.fused else present)

    def mention_side(self, heads: Heads) -> Side:
        return self.entity_side(heads)

    def score(self, mentions: Side, entities: Side) -> Tensor:
        """[mentions, entities]"""
        return inner_products(self.absent, mentions, entities)

    def mention_vectors(self, side: Side) -> Tensor:
        return self.absent.mention_vectors(side, "vector")

    def entity_vectors(self, side: Side) -> Tensor:
        return self.absent.entity_vectors(side, "vector")

    def mention_bounds(self, side: Side) -> Tensor:
        return self.mention_vectors(side)

    def entity_bounds(self, side: Side) -> Tensor:
        """The score is an inner product, and bounds itself."""
        return self.entity_vectors(side)


def inner_products(absent: Absent, mentions: Side, entities: Side) -> Tensor:
    """[mentions, entities] of the sides' `vector`, the constant where either is not `present`."""
    if "vector" not in mentions or "vector" not in entities:
        return absent.everywhere(mentions, entities)
    kind = absent.constant.dtype
    product: Tensor = mentions["vector"].to(kind) @ entities["vector"].to(kind).t()
    return absent.forward(product, mentions, entities)
