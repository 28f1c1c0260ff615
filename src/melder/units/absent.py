"""What a unit answers for a pair that it cannot compare, because a text or a picture is missing."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from melder.features import Side

__all__ = ["Absent"]


class Absent(nn.Module):
    """A learned constant in the place of a unit's score, so that a missing picture is neither free win nor loss.

    It starts at 0, the expected score of unrelated vectors, and is learned from items whose text or picture
    training drops.
    """

    def __init__(self) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(()))

    def forward(self, score: Tensor, mentions: Side, entities: Side) -> Tensor:
        """score [m, e] where both sides are `present`, the constant elsewhere."""
        both = mentions["present"][:, None] & entities["present"][None, :]
        return torch.where(both, score, self.constant.to(score.dtype))

    def everywhere(self, mentions: Side, entities: Side) -> Tensor:
        """[m, e] of the constant."""
        return self.constant.expand(mentions.rows, entities.rows)
