"""OT-MEL's learned pooling of token vectors into one (section 3.2; official `SoftPooling`)."""

from __future__ import annotations

from torch import Tensor, nn

from melder.ops.masks import masked_softmax

__all__ = ["SoftPool"]


class SoftPool(nn.Module):
    """LayerNorm of the mean of rows [n, L, h], weighted by a softmax of a linear layer; `mask` [n, L] = valid rows.

    The published layer has a bias, which the softmax takes out; it is left away.

    Args:
        hidden: h.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Linear(hidden, 1, bias=False)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, rows: Tensor, mask: Tensor | None = None) -> Tensor:
        share = masked_softmax(self.weight(rows)[..., 0], mask)
        return self.norm((share[:, None] @ rows)[:, 0])  # type: ignore[no-any-return]
