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

    def mention_vectors(self, side: Side, name: str) -> Tensor:
        """[n, d + 2] of the side's tensor `name` [n, d]; see `entity_vectors`."""
        present = side["present"][:, None].to(self.constant.dtype)
        return torch.cat([self._vectors(side, name) * present, present, torch.ones_like(present)], dim=1)

    def entity_vectors(self, side: Side, name: str, scale: float = 1.0, more: Tensor | float = 0.0) -> Tensor:
        """[n, d + 2] whose inner products with `mention_vectors` are what `forward` gives for scale * <m, e> + more,
        where `more` [n] is of the entity alone.

        With p = 1 where something is there: p_m p_e (scale <m, e> + more - c) + c
        = <[p_m m, p_m, 1], [scale p_e e, (more - c) p_e, c]>.
        """
        present = side["present"][:, None].to(self.constant.dtype)
        constant = self.constant * torch.ones_like(present)
        alone = torch.as_tensor(more, dtype=constant.dtype, device=constant.device).reshape(-1, 1)
        return torch.cat([scale * self._vectors(side, name) * present, (alone - constant) * present, constant], dim=1)

    def _vectors(self, side: Side, name: str) -> Tensor:
        """The tensor, or no columns where the encoder has none."""
        found = side.get(name)
        return self.constant.new_zeros(side.rows, 0) if found is None else found.to(self.constant.dtype)
