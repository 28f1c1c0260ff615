"""MIMIC's official parameter names, and its configuration as a state dict that uses them has it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from melder.methods.matcher import UnitMatcher
from melder.methods.mimic import MIMICConfiguration, build_mimic
from melder.methods.official import GLOBAL_LOCAL, HEADS, OfficialWeights, loaded, rename, sizes_of, under

__all__ = ["OFFICIAL", "mimic_from_official", "mimic_official_configuration"]

_DIRECTION = {
    "cls_fc": "whole",
    "tokens_fc": "patches",
    "add_layer_norm": "sum_norm",
    "fc": "mix",
    "gate_fc": "gate",
    "layer_norm": "norm",
}
_FUSION = {"text_fc": "text", "image_fc": "image", "gate_fc": "gate", "gate_layer_norm": "norm"}
# `matcher.cmfu.context_layer_norm` is not among them: the official code never uses it.
_NAMES = {
    **HEADS,
    **under("matcher.tglu", "units.text", GLOBAL_LOCAL),
    **under("matcher.vdlu.dual_ent2men", "units.image.entity_to_mention", _DIRECTION),
    **under("matcher.vdlu.dual_men2ent", "units.image.mention_to_entity", _DIRECTION),
    **under("matcher.cmfu", "heads.fusions.cross", _FUSION),
}


def mimic_official_configuration(state: Mapping[str, Tensor]) -> MIMICConfiguration:
    """The published mode, with widths read off the weights; the image unit is that of the published code.

    Args:
        state: An official state dict (keys `encoder.*`, `matcher.*`).

    Returns:
        The configuration that the weights fit.

    Raises:
        MelderError: A layer is missing: the weights are of another method.
    """
    rename(state, _NAMES)
    return MIMICConfiguration(
        hidden=len(state["matcher.tglu.fc_query.weight"]),
        image_width=len(state["encoder.image_cls_fc.weight"]),
        lexical=False,
        published=True,
    )


def mimic_from_official(state: Mapping[str, Tensor]) -> UnitMatcher:
    """A matcher in published mode with the weights of an official state dict (keys `encoder.*`, `matcher.*`).

    Args:
        state: An official state dict.

    Returns:
        The matcher, in evaluation mode.

    Raises:
        MelderError: A layer is missing or has another shape than the others say.
    """
    configuration = mimic_official_configuration(state)
    return loaded(build_mimic(configuration, sizes_of(state)), state, _NAMES)


OFFICIAL = OfficialWeights(mimic_from_official, mimic_official_configuration)
