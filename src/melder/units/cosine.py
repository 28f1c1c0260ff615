"""The cosine of two global vectors of one modality: what CLIP compares."""

from __future__ import annotations

from typing import Literal

from melder.features import Heads, Side
from melder.units.product import Product

__all__ = ["Cosine"]


class Cosine(Product):
    """Sides: `vector` [n, g], `present` [n]; an encoder without vision leaves `present` alone.

    The heads have made the vectors as long as they are to be: with length 1 the score is the cosine, with a common
    length it is that over a temperature.

    Args:
        modality: Whose global vectors are compared; `image` is what makes the unit read pictures.
    """

    def __init__(self, modality: Literal["text", "image"]) -> None:
        super().__init__()
        self.modality = modality
        self.reads_pictures = modality == "image"

    def entity_side(self, heads: Heads) -> Side:
        image = self.modality == "image"
        vector = heads.image_global if image else heads.text_global
        present = {"present": heads.has_image if image else heads.has_text}
        return Side(present if vector is None else {**present, "vector": vector})
