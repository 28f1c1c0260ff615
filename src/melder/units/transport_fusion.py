r"""OT-MEL's multimodal matcher: text and picture of one item fused by transport both ways (section 3.3).

    Move(O -> A) = LayerNorm(T W_v O + A),   T = plan of A (rows) and W_o O (columns)
    f0 = SoftPool([W_t T; Move(V -> T)]),    f1 = SoftPool([Move(T -> V); W_v V])

with T the text's and V the picture's tokens, after one linear layer each (official `OT_Transport`,
`MultimodalMatcher`). The score (<f0, f0'> + <f1, f1'>) / 2 is the inner product of one vector a
side, [f0; f1] / sqrt(2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from melder.features import Alignment, Features
from melder.ops.assignment import Assignment, Kind, aligned_items
from melder.ops.transport import normalised_rows
from melder.units.soft_pool import SoftPool
from melder.units.transport_options import Marginal, TransportOptions

__all__ = ["OTFusion", "Transported"]


class Transported(nn.Module):
    """Move(O -> A): what each token of A [n, L, d'] is assigned of the tokens of O [n, L', d] is added to it.

    Args:
        origin_width, target_width: Of the tokens O, d, and of the tokens A, d'.
        hidden: Of the keys and values, and of the output.
        options: How tokens are assigned to each other.
    """

    def __init__(self, origin_width: int, target_width: int, hidden: int, options: TransportOptions) -> None:
        super().__init__()
        self.options = options
        self.origin = nn.Linear(origin_width, hidden)
        self.target = nn.Linear(target_width, hidden)
        self.target_key = nn.Linear(hidden, hidden)
        self.origin_key = nn.Linear(hidden, hidden)
        self.origin_value = nn.Linear(hidden, hidden)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, origin: Tensor, target: Tensor, limits: dict[str, Tensor | None]) -> Tensor:
        """[n, L, h]; `limits` are masks and marginals, as in `align`."""
        weights = normalised_rows(self.align(origin, target, limits).weights, self.options.row_norm)
        kept = functional.dropout(weights, self.options.dropout, self.training)
        moved = kept @ self.origin_value(self.origin(origin))
        return self.norm(moved + self._rows(target))  # type: ignore[no-any-return]

    def align(
        self, origin: Tensor, target: Tensor, limits: dict[str, Tensor | None], assignment: Kind | None = None
    ) -> Alignment:
        """Weights whose rows sum to 1, and attention logits, both [n, L, L'].

        Args:
            limits: `row_mask`, `row_mass` [n, L] of the target, `column_mask`, `column_mass` [n, L'] of the origin.
        """
        chosen = Assignment(assignment or self.options.assignment, self.options.epsilon, self.options.iterations)
        return Alignment(*aligned_items(chosen, self._rows(target), self.origin_key(self.origin(origin)), **limits))

    def _rows(self, target: Tensor) -> Tensor:
        return self.target_key(self.target(target))  # type: ignore[no-any-return]


class OTFusion(nn.Module):
    """One fused vector an item, `{"fusion": [n, 2 h]}`.

    Args:
        text_width, image_width: Of the text's tokens and of the picture's patches.
        hidden: h; the fused vector has twice as many.
        options: How tokens are assigned to each other.
    """

    vectors = ("fusion",)

    def __init__(self, text_width: int, image_width: int, hidden: int, options: TransportOptions) -> None:
        super().__init__()
        self.text = nn.Linear(text_width, hidden)
        self.image = nn.Linear(image_width, hidden)
        self.image_to_text = Transported(image_width, text_width, hidden, options)
        self.text_to_image = Transported(text_width, image_width, hidden, options)
        self.text_pool = SoftPool(hidden)
        self.image_pool = SoftPool(hidden)
        learned = options.marginals == "learned"
        self.text_marginal = Marginal(text_width) if learned else None
        self.image_marginal = Marginal(image_width) if learned else None

    def forward(self, heads: Features) -> dict[str, Tensor]:
        text, image = heads.text_tokens, heads.image_tokens
        assert image is not None
        to_text, to_image = self.limits(heads)
        told = torch.cat([self.text(text), self.image_to_text(image, text, to_text)], dim=1)
        seen = torch.cat([self.text_to_image(text, image, to_image), self.image(image)], dim=1)
        mask = None if heads.text_mask is None else heads.text_mask.repeat(1, 2)
        fused = torch.cat([self.text_pool(told, mask), self.image_pool(seen)], dim=1)
        return {"fusion": fused / math.sqrt(2)}

    def align(self, heads: Features, assignment: Kind | None = None) -> dict[str, Alignment]:
        """What text tokens are assigned of patches, [n, L, P], and patches of text tokens, [n, P, L]."""
        text, image = heads.text_tokens, heads.image_tokens
        assert image is not None
        to_text, to_image = self.limits(heads)
        return {
            "image_to_text": self.image_to_text.align(image, text, to_text, assignment),
            "text_to_image": self.text_to_image.align(text, image, to_image, assignment),
        }

    def limits(self, heads: Features) -> tuple[dict[str, Tensor | None], dict[str, Tensor | None]]:
        """Masks and marginals when the text is the target, and when the picture is."""
        assert heads.image_tokens is not None
        mask = heads.text_mask
        text = None if self.text_marginal is None else self.text_marginal(heads.text_tokens, mask)
        image = None if self.image_marginal is None else self.image_marginal(heads.image_tokens)
        to_text = {"row_mask": mask, "row_mass": text, "column_mass": image}
        return to_text, {"column_mask": mask, "column_mass": text, "row_mass": image}
