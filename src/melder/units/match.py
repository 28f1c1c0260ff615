r"""Building blocks of M3EL's cross-modal matching (M3EL section 3.3; official file `codes/utils/utils.py`).

They work within one item, not on pairs: text attends to patches, patches to text, and the results are pooled into
one vector for each direction. Inner products of these vectors are the cross-modal scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from melder.ops.masks import masked_mean, masked_softmax, never_empty

__all__ = ["POOLING_TEMPERATURES", "GatedFusion", "Match", "MultiHeadPooling"]

# Temperatures of the pooling heads by their number; 99 stands for the maximum (official `MultiHeadModule`).
POOLING_TEMPERATURES: dict[int, tuple[float, ...]] = {
    1: (3,),
    2: (3, 99),
    3: (2, 4, 99),
    4: (2, 3, 4, 99),
    5: (2, 2.5, 3.5, 4.5, 99),
    6: (2, 3, 4, 5, 6, 99),
    7: (0.5, 2.5, 3.5, 4.5, 5.5, 6.5, 99),
    8: (0.5, 2, 3, 4, 5, 6, 7, 99),
}


class Match(nn.Module):
    """out = ReLU(W (A q)), A = softmax_q(p (W q)^T): p [n, P, h] attends to q [n, Q, h] through one linear layer.

    `mask` [n, Q] names the valid rows of q. There is no scaling by sqrt(h), as published.

    Args:
        hidden: h, the width of both inputs and of the output.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, hidden)

    def forward(self, p: Tensor, q: Tensor, mask: Tensor | None = None) -> Tensor:
        logits = p @ self.linear(q).transpose(1, 2)
        weights = masked_softmax(logits, None if mask is None else mask[:, None, :])
        return self.linear(weights @ q).relu()  # type: ignore[no-any-return]


class MultiHeadPooling(nn.Module):
    """Mean over the rows plus `share` times a softmax-weighted sum, averaged over heads of several temperatures.

    A head of temperature t gives mean_L x + share * sum_L x softmax_L(t x), feature by feature; t = 99 means the
    maximum. No parameters: the published head weights are constants of one.

    Args:
        temperatures: Of the heads; 99 takes the maximum.
        share: What the weighted sum counts beside the mean.
    """

    def __init__(self, temperatures: Sequence[float] = POOLING_TEMPERATURES[5], share: float = 1.0) -> None:
        super().__init__()
        self.temperatures = tuple(temperatures)
        self.share = share

    def forward(self, rows: Tensor, mask: Tensor | None = None) -> Tensor:
        """[n, h] of rows [n, L, h]; `mask` [n, L] names the valid ones."""
        sharp = torch.stack([self._attend(rows, mask, each) for each in self.temperatures]).mean(dim=0)
        return masked_mean(rows, mask) + self.share * sharp

    def _attend(self, rows: Tensor, mask: Tensor | None, temperature: float) -> Tensor:
        valid = never_empty(mask)
        if temperature == 99:
            shown = rows if valid is None else rows.masked_fill(~valid[..., None], float("-inf"))
            return shown.amax(dim=1)
        columns = (temperature * rows).transpose(1, 2)
        weights = masked_softmax(columns, None if mask is None else mask[:, None, :])
        return (weights * rows.transpose(1, 2)).sum(dim=-1)


class GatedFusion(nn.Module):
    """g p + (1 - g) q with g = sigmoid(U p + U q).

    Args:
        hidden: The width of both inputs and of the output.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, hidden)

    def forward(self, p: Tensor, q: Tensor) -> Tensor:
        gate = (self.linear(p) + self.linear(q)).sigmoid()
        return gate * p + (1 - gate) * q  # type: ignore[no-any-return]
