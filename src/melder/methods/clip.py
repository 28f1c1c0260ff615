"""CLIP as a method, the baseline of MIMIC and of everything after it: global vectors compared, and nothing else.

    score = (<m_t, e_t> + <m_v, e_v>) / 2 / temperature

with the L2-normalised text (t) and picture (v) vectors of mention (m) and entity (e), and one learned temperature.
What is trained is the encoder (`encoder.trained: true`) with the cross-entropies of total, text and picture; with
`training.epochs: 0` it is evaluated as it is. The papers that report this baseline say no more about it.

`published: true` takes missing pictures and padding as they stand in the tensors, as MIMIC's loader gives them.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn
from torch.nn.functional import normalize

from melder.features import Features, Heads, Sizes
from melder.methods.matcher import UnitMatcher
from melder.methods.method import MatchingMethod
from melder.methods.options import MethodOptions, lexical_unit, picture_options
from melder.units.cosine import Cosine

__all__ = ["METHOD", "CLIPConfiguration", "build_clip"]

LARGEST_SCALE = 100.0  # CLIP clips its scale, one over the temperature, there to keep training stable


class CLIPConfiguration(MethodOptions):
    """The temperature starts where CLIP's own training starts it; released CLIP models ended at 0.01."""

    name: Literal["clip"] = "clip"
    temperature: PositiveFloat = Field(0.07, description="where the learned temperature starts; 0.01 is the least")
    # Names weigh half of what the text's cosine does (1 / 2 / 0.07); see docs/your-own-kb.md for what that scores.
    lexical_weight: PositiveFloat = Field(3.6, description="where the learned weight starts")


class TemperedHeads(nn.Module):
    """Global vectors of length one over the root of the temperature, so that inner products are cosines over it."""

    def __init__(self, temperature: float, *, published: bool = False) -> None:
        super().__init__()
        self.published = published
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self, features: Features) -> Heads:
        raw = replace(features, text_mask=None, image_mask=None) if self.published else features
        length = self.log_scale.clamp(max=math.log(LARGEST_SCALE)).div(2).exp()
        heads = Heads(**{attribute.name: getattr(raw, attribute.name) for attribute in fields(Features)}, raw=raw)
        heads.text_global = self._tempered(raw.text_global, length)
        if raw.image_global is not None:
            heads.image_global = self._tempered(raw.image_global, length)
        return heads

    def _tempered(self, vectors: Tensor, length: Tensor) -> Tensor:
        return length * normalize(vectors, dim=-1)


def build_clip(configuration: CLIPConfiguration, sizes: Sizes) -> UnitMatcher:
    """The matcher; without vision the picture unit answers a learned constant. It reads no sizes."""
    heads = TemperedHeads(configuration.temperature, published=configuration.published)
    units: dict[str, nn.Module] = {"text": Cosine("text"), "image": Cosine("image")}
    return UnitMatcher(heads, units, lexical_unit(configuration), **picture_options(configuration))


METHOD = MatchingMethod(CLIPConfiguration, build_clip)
