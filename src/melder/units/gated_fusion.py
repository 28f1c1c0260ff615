r"""MIMIC's cross-modal fusion within an item (CMFU, section 3.3.3): its text looks at its picture's patches.

    t' = W_t t,   X = W_v V,   u = sum_p softmax_p(<t', X_p>) X_p,   f = LN(tanh(g t') t' + u)

with t the text's global vector and V the patches; the softmax is not scaled, as published. The score of a pair is the
inner product of its two f (`melder.units.inner_product`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from melder.features import Features

__all__ = ["GatedFusion"]


class GatedFusion(nn.Module):
    """One fused vector an item, `{"cross": [n, h]}`.

    Args:
        text_width, image_width: Of the text's global vector and of the picture's patches.
        hidden: h, the width of the fused vector.
    """

    vectors = ("cross",)

    def __init__(self, text_width: int, image_width: int, hidden: int) -> None:
        super().__init__()
        self.text = nn.Linear(text_width, hidden)
        self.image = nn.Linear(image_width, hidden)
        self.gate = nn.Linear(hidden, 1)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, heads: Features) -> dict[str, Tensor]:
        assert heads.image_tokens is not None
        text, patches = self.text(heads.text_global), self.image(heads.image_tokens)
        weights = torch.einsum("nh,nph->np", text, patches).softmax(dim=-1)
        seen = torch.einsum("np,nph->nh", weights, patches)
        return {"cross": self.norm(self.gate(text).tanh() * text + seen)}
