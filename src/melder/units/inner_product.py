"""The inner product of two vectors that a cross-modal block fused from text and picture, one for each side.

M3EL's CMM and MIMIC's CMFU are one such unit each, CMMB two of them (text to image, image to text); the block itself
runs once, in the matcher's heads.
"""

from __future__ import annotations

from melder.features import Heads, Side
from melder.units.product import Product

__all__ = ["InnerProduct"]


class InnerProduct(Product):
    """Sides: `vector` [n, h], `present` [n] (text and picture are both there); without vision `present` alone.

    Args:
        vector: Its name among the fused vectors that the heads make (`Heads.fused`), [n, h].
    """

    def __init__(self, vector: str) -> None:
        super().__init__()
        self.vector = vector

    def entity_side(self, heads: Heads) -> Side:
        present = {"present": heads.has_both}
        return Side({**present, "vector": heads.fused[self.vector]} if self.vector in heads.fused else present)
