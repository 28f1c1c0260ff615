"""The layers between the encoder and the units: small linear heads, and one LayerNorm for each kind of feature.

Mentions and entities share all of them (MIMIC section 3.2; M3EL and OT-MEL inherit it).
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from melder.features import Features, Heads, Sizes

__all__ = ["SharedHeads"]


class SharedHeads(nn.Module):
    """Pictures go through linear heads to `image_width`; texts are left at the encoder's width, as published.

    published: no masks and no missing pictures; whatever stands in the tensors is taken as it is.
    fusion: cross-modal blocks, each from normalised features to named vectors; they need vision.
    """

    def __init__(self, sizes: Sizes, image_width: int, fusions: nn.ModuleDict, *, published: bool = False) -> None:
        super().__init__()
        self.published = published
        self.text_global_norm = nn.LayerNorm(sizes.text_global)
        self.text_tokens_norm = nn.LayerNorm(sizes.text_tokens)
        self.fusions = fusions
        if sizes.image_global is not None and sizes.image_tokens is not None:
            self.image_global = nn.Linear(sizes.image_global, image_width)
            self.image_tokens = nn.Linear(sizes.image_tokens, image_width)
            self.image_global_norm = nn.LayerNorm(image_width)
            self.image_tokens_norm = nn.LayerNorm(image_width)

    def forward(self, features: Features) -> Heads:
        raw = self._project(replace(features, text_mask=None, image_mask=None) if self.published else features)
        heads = Heads(
            text_global=self.text_global_norm(raw.text_global),
            text_tokens=self.text_tokens_norm(raw.text_tokens),
            image_global=self._normalise("image_global_norm", raw.image_global),
            image_tokens=self._normalise("image_tokens_norm", raw.image_tokens),
            text_mask=raw.text_mask,
            image_mask=raw.image_mask,
            surfaces=raw.surfaces,
            raw=raw,
        )
        if heads.image_global is not None:
            heads.fused = {name: v for block in self.fusions.values() for name, v in block(heads).items()}
        return heads

    def _project(self, features: Features) -> Features:
        if features.image_global is None:
            return features
        return replace(
            features,
            image_global=self.image_global(features.image_global),
            image_tokens=self.image_tokens(features.image_tokens),
        )

    def _normalise(self, name: str, values: Tensor | None) -> Tensor | None:
        return None if values is None else getattr(self, name)(values)
