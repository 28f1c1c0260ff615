r"""The gated multimodal unit (Arevalo, Solorio, Montes-y-Gómez and González, 2017), the fusion of PGMEL.

    h_v = tanh(W_v x_v),   h_t = tanh(W_t x_t),   z = sigmoid(W_z [x_v; x_t]),   h = z * h_v + (1 - z) * h_t

with x_v and x_t the global vectors of picture and text. What is missing has a learned vector in its place, so that an
item without a picture is fused like any other and a pair never lacks a score. `concat`, `text` and `image` are the
ablations: one layer over both, or one modality alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from melder.features import Features, Heads, Side
from melder.protocols import SideTensor

__all__ = ["Distance", "FusedMatch", "Fusion", "GatedMultimodal"]

Fusion = Literal["gated", "concat", "text", "image"]
Distance = Literal["cosine", "l2"]


class GatedMultimodal(nn.Module):
    """Features of n items to one vector each, [n, hidden]; reads their global vectors.

    Args:
        text_width, image_width: Of the global vectors; an encoder without vision has the learned vector everywhere.
    """

    def __init__(self, text_width: int, image_width: int, hidden: int, fusion: Fusion = "gated") -> None:
        super().__init__()
        self.fusion = fusion
        both = text_width + image_width
        if fusion != "image":
            self.no_text = nn.Parameter(torch.zeros(text_width))
        if fusion != "text":
            self.no_image = nn.Parameter(torch.zeros(image_width))
        if fusion in ("gated", "text"):
            self.text = nn.Linear(text_width, hidden)
        if fusion in ("gated", "image"):
            self.image = nn.Linear(image_width, hidden)
        if fusion == "gated":
            self.gate = nn.Linear(both, hidden)
        if fusion == "concat":
            self.both = nn.Linear(both, hidden)

    def forward(self, features: Features) -> Tensor:
        if self.fusion == "text":
            return self.text(self._text(features)).tanh()  # type: ignore[no-any-return]
        if self.fusion == "image":
            return self.image(self._image(features)).tanh()  # type: ignore[no-any-return]
        text, image = self._text(features), self._image(features)
        together = torch.cat([image, text], dim=1)
        if self.fusion == "concat":
            return self.both(together).tanh()  # type: ignore[no-any-return]
        gate = self.gate(together).sigmoid()
        return gate * self.image(image).tanh() + (1 - gate) * self.text(text).tanh()  # type: ignore[no-any-return]

    def _text(self, features: Features) -> Tensor:
        return torch.where(features.has_text[:, None], features.text_global, self.no_text)

    def _image(self, features: Features) -> Tensor:
        if features.image_global is None:
            return self.no_image.expand(len(features), -1)
        return torch.where(features.has_image[:, None], features.image_global, self.no_image)


class FusedMatch(nn.Module):
    """The cosine of two items' fused vectors, or minus the square of their distance.

    Sides: `vector` [n, hidden], for a cosine of length one. With `shared` one block fuses mentions and entities.
    Every pair has a score, whatever is missing, so there is no constant for those that have none.

    Args:
        text_width, image_width: Of the global vectors.
        hidden: Of the fused vector.
        fusion: How text and picture become one vector; `text` reads no pictures.
        distance: Whether a score is the cosine of two fused vectors, or minus the square of their distance.
        shared: Whether one block fuses mentions and entities; otherwise each has its own.
    """

    has_vectors, has_bounds, aligns, reads_pictures = True, True, False, True
    entity_tensors: Mapping[str, SideTensor] = {"vector": SideTensor()}

    def __init__(
        self,
        text_width: int,
        image_width: int,
        hidden: int,
        fusion: Fusion = "gated",
        distance: Distance = "cosine",
        shared: bool = True,
    ) -> None:
        super().__init__()
        self.distance = distance
        self.reads_pictures = fusion != "text"
        count = 1 if shared else 2
        self.blocks = nn.ModuleList(
            [GatedMultimodal(text_width, image_width, hidden, fusion) for _ in range(count)]
        )  # of mentions first, of entities last

    def mention_side(self, heads: Heads) -> Side:
        return self._side(self.blocks[0](heads))

    def entity_side(self, heads: Heads) -> Side:
        return self._side(self.blocks[-1](heads))

    def score(self, mentions: Side, entities: Side) -> Tensor:
        """[mentions, entities]"""
        score = self.mention_vectors(mentions) @ self.entity_vectors(entities).t()
        return score if self.distance == "cosine" else score.clamp(max=0.0)

    def mention_vectors(self, side: Side) -> Tensor:
        """`-|m - e|^2 = <[m, |m|^2, 1], [2 e, -1, -|e|^2]>`"""
        vector = side["vector"].float()
        return vector if self.distance == "cosine" else _with(vector, vector.square().sum(dim=1), 1.0)

    def entity_vectors(self, side: Side) -> Tensor:
        vector = side["vector"].float()
        if self.distance == "cosine":
            return vector
        return _with(2 * vector, -torch.ones_like(vector[:, 0]), -vector.square().sum(dim=1))

    def mention_bounds(self, side: Side) -> Tensor:
        return self.mention_vectors(side)

    def entity_bounds(self, side: Side) -> Tensor:
        """The score is an inner product, and bounds itself."""
        return self.entity_vectors(side)

    def _side(self, fused: Tensor) -> Side:
        return Side({"vector": normalize(fused, dim=-1) if self.distance == "cosine" else fused})


def _with(vectors: Tensor, *columns: Tensor | float) -> Tensor:
    """[n, d + columns]"""
    given = [vectors.new_full((len(vectors),), c) if isinstance(c, float) else c for c in columns]
    return torch.cat([vectors, *(column[:, None] for column in given)], dim=1)
