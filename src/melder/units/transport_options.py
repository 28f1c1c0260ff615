"""How OT-MEL's units assign tokens: settings that all of them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from melder.ops.assignment import Kind
from melder.ops.masks import masked_softmax
from melder.ops.transport import RowNorm

__all__ = ["Marginal", "Marginals", "TransportOptions"]

Marginals = Literal["uniform", "learned"]


@dataclass(frozen=True)
class TransportOptions:
    """How OT-MEL assigns the tokens of one item to those of another.

    Args:
        assignment: transport, or attention, the student that the paper puts in its place at prediction.
        epsilon: The weight of the entropy in Sinkhorn's algorithm.
        iterations: Of Sinkhorn's algorithm.
        row_norm: What the rows of either assignment have norm 1 in; l2 is published, l1 makes them distributions.
        marginals: uniform as in the published code, or learned from the tokens as the paper's figure shows.
        detach_plan: No gradient passes through the similarities of mention and entity, as published.
        dropout: Share of a plan's entries that training drops.
    """

    assignment: Kind = "transport"
    epsilon: float = 0.05
    iterations: int = 3
    row_norm: RowNorm = "l2"
    marginals: Marginals = "uniform"
    detach_plan: bool = True
    dropout: float = 0.1


class Marginal(nn.Module):
    """Masses [n, L] of tokens [n, L, d] that sum to 1: a softmax of one linear layer over the valid tokens.

    How the paper's figure computes them is not written; this is the plainest way.

    Args:
        width: d, of the tokens.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Linear(width, 1, bias=False)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        return masked_softmax(self.weight(tokens)[..., 0], mask)
