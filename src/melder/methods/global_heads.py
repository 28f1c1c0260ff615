"""A linear layer and a LayerNorm for each modality's global vector; methods that read no tokens need no more."""

from __future__ import annotations

from dataclasses import fields

from torch import nn

from melder.features import Features, Heads, Sizes

__all__ = ["GlobalHeads"]


class GlobalHeads(nn.Module):
    """Global vectors of either modality to `width`, the same for mentions and entities; tokens stay as they are.

    Args:
        sizes: Of the encoder's features; without vision there is no head for pictures.
        width: Of what the heads make.
    """

    def __init__(self, sizes: Sizes, width: int) -> None:
        super().__init__()
        self.text_global = _head(sizes.text_global, width)
        if sizes.image_global is not None:
            self.image_global = _head(sizes.image_global, width)

    def forward(self, features: Features) -> Heads:
        same = {attribute.name: getattr(features, attribute.name) for attribute in fields(Features)}
        heads = Heads(**same, raw=features, encoded=features)
        heads.text_global = self.text_global(features.text_global)
        if features.image_global is not None:
            heads.image_global = self.image_global(features.image_global)
        return heads


def _head(given: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(given, width), nn.LayerNorm(width))
