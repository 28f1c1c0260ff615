"""M3EL's official parameter names, and its configuration as a state dict that uses them has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from melder.methods.m3el import M3ELConfiguration, build_m3el
from melder.methods.matcher import UnitMatcher
from melder.methods.official import GLOBAL_LOCAL, HEADS, OfficialWeights, loaded, rename, sizes_of, under

__all__ = ["OFFICIAL", "m3el_from_official", "m3el_official_configuration"]

_FUSION = {
    "text_fc": "text",
    "image_fc": "image",
    "gate_fc": "gate",
    "gate_layer_norm": "norm",
    "match_module.trans_linear": "match.linear",
    "fusion_module.linear": "fusion.linear",
}

CrossUnit = Literal["cmm", "cmmb"]


def m3el_official_configuration(
    state: Mapping[str, Tensor], variant: CrossUnit = "cmm", pooling_heads: int = 5
) -> M3ELConfiguration:
    """The published mode, with widths read off the weights."""
    rename(state, _names(variant))
    hidden, image_width = state["matcher.iimm.fc_query.weight"].shape
    return M3ELConfiguration(
        hidden=hidden,
        image_width=image_width,
        cross=_cross(variant),
        pooling_heads=pooling_heads,
        lexical=False,
        published=True,
    )


def m3el_from_official(state: Mapping[str, Tensor], variant: CrossUnit = "cmm", pooling_heads: int = 5) -> UnitMatcher:
    """A matcher in published mode with the weights of an official state dict (keys `encoder.*`, `matcher.*`).

    Args:
        variant: The cross-modal unit to score with. The official code evaluates every data set with CMM and trains CMMB
            on WikiDiverse, so its checkpoint holds both. Parameters that the official code never uses are dropped.
    """
    configuration = m3el_official_configuration(state, variant, pooling_heads)
    return loaded(build_m3el(configuration, sizes_of(state)), rename(state, _names(variant)))


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
