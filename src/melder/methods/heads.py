"""The layers between the encoder and the units: small linear heads, and one LayerNorm for each kind of feature.

Mentions and entities share all of them (MIMIC section 3.2; M3EL and OT-MEL inherit it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from melder.features import Features, Heads, Sizes

__all__ = ["SharedHeads"]


class SharedHeads(nn.Module):
    """Pictures go through linear heads to `width`; texts are left at the encoder's width (MIMIC, M3EL).

    Args:
        project: Which features have a linear head; OT-MEL's are the tokens of both modalities.
        published: No masks and no missing pictures; whatever stands in the tensors is taken as it is. fusion:
            cross-modal blocks, each from normalised features to named vectors; they need vision.
    """

    def __init__(
        self,
        sizes: Sizes,
        width: int,
        fusions: nn.ModuleDict,
        *,
        project: Sequence[str] = ("image_global", "image_tokens"),
        published: bool = False,
    ) -> None:
        super().__init__()
        self.published = published
        widths_in = {name: size for name, size in vars(sizes).items() if size is not None}
        self.projected = tuple(name for name in project if name in widths_in)
        widths = {name: width if name in project else size for name, size in widths_in.items()}
        self.text_global_norm = nn.LayerNorm(widths["text_global"])
        self.text_tokens_norm = nn.LayerNorm(widths["text_tokens"])
        self.fusions = fusions
        for name in self.projected:
            setattr(self, name, nn.Linear(widths_in[name], width))
        if "image_global" in widths:
            self.image_global_norm = nn.LayerNorm(widths["image_global"])
            self.image_tokens_norm = nn.LayerNorm(widths["image_tokens"])

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
            encoded=features,
        )
        if heads.image_global is not None:
            heads.fused = {name: v for block in self.fusions.values() for name, v in block(heads).items()}
        return heads

    def _project(self, features: Features) -> Features:
        tensors = features.tensors()
        made: dict[str, Tensor] = {
            name: getattr(self, name)(tensors[name]) for name in self.projected if name in tensors
        }
        return replace(features, **made)  # type: ignore[arg-type]

    def _normalise(self, name: str, values: Tensor | None) -> Tensor | None:
        return None if values is None else getattr(self, name)(values)
