"""M3EL's official parameter names, and its configuration as a state dict that uses them has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from melder.methods.m3el import M3ELConfiguration, build_m3el
from melder.methods.matcher import UnitMatcher
from melder.methods.official import (
    GLOBAL_LOCAL,
    HEADS,
    OfficialWeights,
    loaded,
    matrix_shape,
    rename,
    sizes_of,
    under,
)
from melder.records import MelderError
from melder.units.match import POOLING_TEMPERATURES

__all__ = ["OFFICIAL", "m3el_from_official", "m3el_official_configuration"]

_FUSION = {
    "text_fc": "text",
    "image_fc": "image",
    "gate_fc": "gate",
    "gate_layer_norm": "norm",
    "match_module.trans_linear": "match.linear",
    "fusion_module.linear": "fusion.linear",
}

PUBLISHED_HEADS = 5
CrossUnit = Literal["cmm", "cmmb"]


def m3el_official_configuration(state: Mapping[str, Tensor], variant: CrossUnit = "cmm") -> M3ELConfiguration:
    """The published mode, with widths and the number of pooling heads read off the weights.

    Args:
        state: An official state dict (keys `encoder.*`, `matcher.*`).
        variant: The cross-modal unit that is read.

    Returns:
        The configuration that the weights fit.

    Raises:
        MelderError: A layer is missing: the weights are of another method or variant.
    """
    rename(state, _names(variant))
    hidden, image_width = matrix_shape(state, "matcher.iimm.fc_query.weight")
    return M3ELConfiguration(
        hidden=hidden,
        image_width=image_width,
        cross=_cross(variant),
        pooling_heads=_pooling_heads(state, variant),
        lexical=False,
        published=True,
    )


def m3el_from_official(state: Mapping[str, Tensor], variant: CrossUnit = "cmm") -> UnitMatcher:
    """A matcher in published mode with the weights of an official state dict (keys `encoder.*`, `matcher.*`).

    Args:
        state: An official state dict.
        variant: The cross-modal unit to score with. The official code evaluates every data set with CMM and trains CMMB
            on WikiDiverse, so its checkpoint holds both. Parameters that the official code never uses are dropped.

    Returns:
        The matcher, in evaluation mode.

    Raises:
        MelderError: A layer is missing or has another shape than the others say.
    """
    configuration = m3el_official_configuration(state, variant)
    return loaded(build_m3el(configuration, sizes_of(state)), state, _names(variant))


def _pooling_heads(state: Mapping[str, Tensor], variant: CrossUnit) -> int:
    """The published module keeps a weight of ones for each of its pooling heads, which nothing else reads.

    A state dict whose unused layers were taken out has none; it then has as many heads as published.
    """
    weight = state.get(f"matcher.{variant}.multi_head_module.weight")
    heads = PUBLISHED_HEADS if weight is None else weight.numel()
    if heads not in POOLING_TEMPERATURES:
        raise MelderError(
            f"matcher.{variant}.multi_head_module.weight: {heads} pooling heads; there are up to "
            f"{max(POOLING_TEMPERATURES)} in the published code, so name a checkpoint that it left"
        )
    return heads


def _cross(variant: CrossUnit) -> Literal["uni", "bi"]:
    return "uni" if variant == "cmm" else "bi"


def _names(variant: CrossUnit) -> dict[str, str]:
    fusion = {name: ours for name, ours in _FUSION.items() if variant == "cmm" or not name.startswith("fusion_module")}
    return {
        **HEADS,
        **under("matcher.timm", "units.text", GLOBAL_LOCAL),
        **under("matcher.iimm", "units.image", GLOBAL_LOCAL),
        **under(f"matcher.{variant}", f"heads.fusions.{_cross(variant)}", fusion),
    }


OFFICIAL = OfficialWeights(m3el_from_official, m3el_official_configuration, "desc", ("cmm", "cmmb"))
