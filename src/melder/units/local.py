"""What the units share that compare an entity's tokens, assigned a mention's, with its global vector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from melder.features import Heads, Side
from melder.protocols import SideTensor
from melder.units.absent import Absent
from melder.units.local_side import Modality, local_upper_bound

__all__ = ["Local"]


class Local(nn.Module, ABC):
    """Score: the mean of the local half and the inner product of the global vectors."""

    has_vectors, has_bounds, aligns = True, True, True
    entity_tensors: Mapping[str, SideTensor] = {
        "query": SideTensor(tokens="mask"),
        "target": SideTensor(),
        "global": SideTensor(),
        "mask": SideTensor(tokens="mask"),
        "mass": SideTensor(tokens="mask", rounded=False),
        "present": SideTensor(),
    }
    norm: nn.LayerNorm
    modality: Modality

    def __init__(self) -> None:
        super().__init__()
        self.absent = Absent()

    @property
    def reads_pictures(self) -> bool:
        return self.modality == "image"

    @abstractmethod
    def entity_side(self, heads: Heads) -> Side: ...

    @abstractmethod
    def mention_side(self, heads: Heads) -> Side: ...

    @abstractmethod
    def local_scores(self, mentions: Side, entities: Side) -> Tensor:
        """[mentions, entities]: the local half."""

    @property
    def last_norm(self) -> nn.LayerNorm:
        """The LayerNorm whose output is multiplied with the target: what bounds the local half."""
        return self.norm

    def score(self, mentions: Side, entities: Side) -> Tensor:
        """[mentions, entities]"""
        if "global" not in mentions or "global" not in entities:
            return self.absent.everywhere(mentions, entities)
        kind = self.norm.weight.dtype
        product = mentions["global"].to(kind) @ entities["global"].to(kind).t()
        return self.absent.forward((self.local_scores(mentions, entities) + product) / 2, mentions, entities)

    def mention_vectors(self, side: Side) -> Tensor:
        return self.absent.mention_vectors(side, "global")

    def entity_vectors(self, side: Side) -> Tensor:
        """The global half of the score; the local half is no inner product."""
        return self.absent.entity_vectors(side, "global", scale=0.5)

    def mention_bounds(self, side: Side) -> Tensor:
        return self.mention_vectors(side)

    def entity_bounds(self, side: Side) -> Tensor:
        """The global half, and the most that the local half can be with any mention."""
        return self.absent.entity_vectors(side, "global", scale=0.5, more=local_upper_bound(side, self.last_norm) / 2)
