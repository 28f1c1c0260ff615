"""The whitened cosine of two pictures: what the encoder itself says, which no training on few entities can spoil.

    score = s cos(a * (w(m) - mean of mentions), a * (w(e) - mean of entities)) / deviation

with w of [whitening](whitening.py), fitted on entities and mentions before training starts. Mentions have a mean of
their own: drawings of another maker, or photographs from a shop, differ from a catalogue's pictures all in the same
way. What is trained is the scale s and a weight a for each direction, no matrix: heads of a matrix each learn the
entities that training shows, and are worse than nothing for others (docs/results.md).
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from melder.features import Features, Heads, Side
from melder.units.product import Product
from melder.units.whitening import FEWEST, PatchWhitening, Whitening, deviation

__all__ = ["Whitened"]

Pictured = Literal["global", "patches"]


class Whitened(Product):
    """Sides: `vector` [n, width], `present` [n]; an encoder without vision leaves `present` alone.

    Args:
        reads: `global`, a picture's one vector, or `patches`, all of its patches in their places as one vector.
        width: Of the encoder's global vector; patches have `whitening.COMPONENTS`.
    """

    mention_mean: Tensor
    entity_mean: Tensor
    deviation: Tensor

    def __init__(self, reads: Pictured, width: int | None = None) -> None:
        super().__init__()
        self.tensor = {"global": "image_global", "patches": "image_tokens"}[reads]
        patches = PatchWhitening()
        self.whitening = patches if width is None else Whitening(width)
        width = patches.components if width is None else width
        self.directions = nn.Parameter(torch.ones(width))
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("mention_mean", torch.zeros(width))
        self.register_buffer("entity_mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(()))

    def entity_side(self, heads: Heads) -> Side:
        return self._side(heads, self.entity_mean)

    def mention_side(self, heads: Heads) -> Side:
        return self._side(heads, self.mention_mean)

    @torch.no_grad()
    def fit(self, entities: Features, mentions: Features | None = None) -> None:
        """Learn whitening, means and the deviation of features as a frozen encoder made them; without enough mentions
        theirs are taken to be like entities."""
        of_entities = self._pictures(entities)
        of_mentions = of_entities[:0] if mentions is None else self._pictures(mentions)
        if len(of_entities) < FEWEST:
            return
        self.whitening.fit(torch.cat([of_entities, of_mentions]))
        vectors = self._whitened(of_entities)
        self.entity_mean.copy_(vectors.mean(dim=0))
        of_its_own = len(of_mentions) >= FEWEST
        self.mention_mean.copy_(self._whitened(of_mentions).mean(dim=0) if of_its_own else self.entity_mean)
        self.deviation.copy_(deviation(vectors - self.entity_mean))

    def _pictures(self, features: Features) -> Tensor:
        """What it reads of those that have a picture; nothing without vision."""
        tensor = getattr(features, self.tensor)
        if tensor is None:
            return features.text_global.new_zeros(0, 1)
        return cast(Tensor, tensor[features.has_image])

    def _whitened(self, tensor: Tensor) -> Tensor:
        """[n, width], some rows at a time, so that patches are never held twice in float32."""
        return torch.cat([self.whitening(rows.to(self.deviation)) for rows in torch.split(tensor, 256)])

    def _side(self, heads: Heads, mean: Tensor) -> Side:
        assert heads.encoded is not None
        present, tensor = heads.encoded.has_image, getattr(heads.encoded, self.tensor)
        if tensor is None:
            return Side({"present": present})
        # The encoder is frozen, and the root of a number near zero has too large a gradient.
        with torch.no_grad():
            whitened = self.whitening(tensor.to(self.deviation)) - mean
        length = (self.log_scale.exp() / self.deviation).sqrt()
        return Side({"present": present, "vector": length * normalize(self.directions * whitened, dim=-1)})
