"""CLIP as a method, the baseline of MIMIC and of everything after it: global vectors compared, and nothing else.

    score = (<m_t, e_t> + <m_v, e_v>) / 2 / temperature

with the L2-normalised text (t) and picture (v) vectors of mention (m) and entity (e), and one learned temperature.
What is trained is the encoder (`encoder.trained: true`) with the cross-entropies of total, text and picture; with
`training.epochs: 0` it is evaluated as it is. The papers that report this baseline say no more about it.

Of a frozen encoder more can be fitted on the entities, before anything is trained (`fit_clip`): `whiten` makes the
vectors of a modality tell more (`units/whitening.py`), and `calibrated` divides each modality's cosine by its
deviation between different entities, so that an encoder whose cosines lie between 0.6 and 0.9 counts as much as one
with cosines between 0 and 0.3. Both only change the vectors: searches, bounds and what is stored need not know of them.

`published: true` takes missing pictures and padding as they stand in the tensors, as MIMIC's loader gives them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Literal, cast

import torch
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor, nn
from torch.nn.functional import normalize

from melder.features import Features, Heads, Sizes
from melder.methods.matcher import UnitMatcher
from melder.methods.method import MatchingMethod
from melder.methods.options import MethodOptions, lexical_unit, total_options
from melder.protocols import FitFeatures, Matcher
from melder.units.cosine import Cosine
from melder.units.whitening import Whitening, deviation

__all__ = ["METHOD", "CLIPConfiguration", "build_clip", "fit_clip"]

Modality = Literal["text", "image"]
MODALITIES: tuple[Modality, ...] = ("text", "image")
LARGEST_SCALE = 100.0  # CLIP clips its scale, one over the temperature, there to keep training stable


class CLIPConfiguration(MethodOptions):
    """The temperature starts where CLIP's own training starts it; released CLIP models ended at 0.01."""

    name: Literal["clip"] = "clip"
    temperature: PositiveFloat = Field(0.07, description="where the learned temperature starts; 0.01 is the least")
    # Names weigh half of what the text's cosine does (1 / 2 / 0.07); see docs/your-own-kb.md for what that scores.
    lexical_weight: PositiveFloat = Field(3.6, description="where the learned weight starts")
    whiten: tuple[Modality, ...] = Field(
        (), description="modalities whose vectors are whitened, as fitted on the entities; of a frozen encoder"
    )
    calibrated: bool = Field(False, description="cosines over their deviation between entities; of a frozen encoder")

    @property
    def fitted(self) -> bool:
        """Whether something is fitted on the entities."""
        return self.calibrated or bool(self.whiten)

    @model_validator(mode="after")
    def _published_as_it_is(self) -> CLIPConfiguration:
        if self.published and self.fitted:
            raise ValueError("published: true compares vectors as they are; leave whiten and calibrated out")
        return self


class TemperedHeads(nn.Module):
    """Global vectors of length one over the root of the temperature, so that inner products are cosines over it."""

    deviations: Tensor

    def __init__(
        self,
        temperature: float,
        *,
        published: bool = False,
        whitened: Mapping[str, int] | None = None,
        calibrated: bool = False,
    ) -> None:
        super().__init__()
        self.published, self.calibrated = published, calibrated
        self.whitenings = nn.ModuleDict({name: Whitening(width) for name, width in (whitened or {}).items()})
        if calibrated:
            self.register_buffer("deviations", torch.ones(len(MODALITIES)))
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self, features: Features) -> Heads:
        raw = replace(features, text_mask=None, image_mask=None) if self.published else features
        length = self.log_scale.clamp(max=math.log(LARGEST_SCALE)).div(2).exp()
        same = {attribute.name: getattr(raw, attribute.name) for attribute in fields(Features)}
        heads = Heads(**same, raw=raw, encoded=features)
        heads.text_global = length * self._direction("text", raw.text_global)
        if raw.image_global is not None:
            heads.image_global = length * self._direction("image", raw.image_global)
        return heads

    def fit(self, features: Features) -> None:
        """Learn of entities what whitening and calibration need; those that lack a modality tell nothing of it."""
        there = {"text": features.text_global[features.has_text]}
        if features.image_global is not None:
            there["image"] = features.image_global[features.has_image]
        for name, whitening in self.whitenings.items():
            cast(Whitening, whitening).fit(there[name])
        for number, name in enumerate(MODALITIES if self.calibrated else ()):
            self.deviations[number] = 1.0
            if name in there:
                vectors = self._direction(name, there[name].to(self.deviations.device))
                self.deviations[number] = deviation(vectors)

    def _direction(self, name: Modality, vectors: Tensor) -> Tensor:
        """Of length 1 or, calibrated, of the length that makes inner products cosines over their deviation."""
        whitened = self.whitenings[name](vectors) if name in self.whitenings else vectors
        direction = normalize(whitened, dim=-1)
        return direction / self.deviations[MODALITIES.index(name)].sqrt() if self.calibrated else direction


def build_clip(configuration: CLIPConfiguration, sizes: Sizes) -> UnitMatcher:
    """The matcher; without vision the picture unit answers a learned constant.

    Args:
        configuration: Of the method.
        sizes: Of the encoder's features.

    Returns:
        A matcher with nothing to learn but the lexical weight and the constants for what is missing.
    """
    widths = {"text": sizes.text_global, "image": sizes.image_global}
    whitened: dict[str, int] = {name: width for name in configuration.whiten if (width := widths[name]) is not None}
    heads = TemperedHeads(
        configuration.temperature,
        published=configuration.published,
        whitened=whitened,
        calibrated=configuration.calibrated,
    )
    units: dict[str, nn.Module] = {"text": Cosine("text"), "image": Cosine("image")}
    return UnitMatcher(heads, units, lexical_unit(configuration), total=total_options(configuration))


def fit_clip(matcher: Matcher, entities: Features, mentions: Features | None = None) -> None:
    """Fit a matcher of `build_clip` on the features of entities; mentions tell it nothing.

    Args:
        matcher: Of `build_clip`; it is changed.
        entities: Features of some or all of them, by whose vectors it whitens and sets temperatures.
        mentions: Not read.
    """
    cast(TemperedHeads, matcher.heads).fit(entities)


def _fitting(configuration: CLIPConfiguration) -> FitFeatures | None:
    return fit_clip if configuration.fitted else None


METHOD = MatchingMethod(CLIPConfiguration, build_clip, fitting=_fitting)
