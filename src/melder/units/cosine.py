"""The cosine of two global vectors of one modality: what CLIP compares."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from melder.features import Heads, Side
from melder.units.absent import Absent
from melder.units.inner_product import inner_products

__all__ = ["Cosine"]


class Cosine(nn.Module):
    """Sides: `vector` [n, g], `present` [n]; an encoder without vision leaves `present` alone.

    The heads have made the vectors as long as they are to be: with length 1 the score is the cosine, with a common
    length it is that over a temperature.
    """

    def __init__(self, modality: Literal["text", "image"]) -> None:
        super().__init__()
        self.modality = modality
        self.absent = Absent()

    def entity_side(self, heads: Heads) -> Side:
        image = self.modality == "image"
        vector = heads.image_global if image else heads.text_global
        present = {"present": heads.has_image if image else heads.has_text}
        return Side(present if vector is None else {**present, "vector": vector})

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
