"""What units share whose score is one inner product of two vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from melder.features import Heads, Side
from melder.protocols import SideTensor
from melder.units.absent import Absent

__all__ = ["Product"]


class Product(nn.Module, ABC):
    """Sides: `vector` [n, h], `present` [n]; without vision `present` alone."""

    has_vectors, has_bounds, aligns, reads_pictures = True, True, False, True
    entity_tensors: Mapping[str, SideTensor] = {"vector": SideTensor(), "present": SideTensor()}

    def __init__(self) -> None:
        super().__init__()
        self.absent = Absent()

    @abstractmethod
    def entity_side(self, heads: Heads) -> Side: ...

    def mention_side(self, heads: Heads) -> Side:
        return self.entity_side(heads)

    def score(self, mentions: Side, entities: Side) -> Tensor:
        """[mentions, entities]"""
        if "vector" not in mentions or "vector" not in entities:
            return self.absent.everywhere(mentions, entities)
        kind = self.absent.constant.dtype
        product: Tensor = mentions["vector"].to(kind) @ entities["vector"].to(kind).t()
        return self.absent.forward(product, mentions, entities)

    def mention_vectors(self, side: Side) -> Tensor:
        return self.absent.mention_vectors(side, "vector")

    def entity_vectors(self, side: Side) -> Tensor:
        return self.absent.entity_vectors(side, "vector")

    def mention_bounds(self, side: Side) -> Tensor:
        return self.mention_vectors(side)

    def entity_bounds(self, side: Side) -> Tensor:
        """The score is an inner product, and bounds itself."""
        return self.entity_vectors(side)
