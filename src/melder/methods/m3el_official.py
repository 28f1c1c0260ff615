"""M3EL's official parameter names, and a matcher from a state dict that uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from melder.features import Sizes
from melder.methods.m3el import M3ELConfiguration, build_m3el
from melder.methods.matcher import UnitMatcher
from melder.methods.official import rename

__all__ = ["m3el_from_official"]

_HEADS = {
    "encoder.image_cls_fc": "heads.image_global",
    "encoder.image_tokens_fc": "heads.image_tokens",
    "matcher.text_cls_layernorm": "heads.text_global_norm",
    "matcher.text_tokens_layernorm": "heads.text_tokens_norm",
    "matcher.image_cls_layernorm": "heads.image_global_norm",
    "matcher.image_tokens_layernorm": "heads.image_tokens_norm",
}
_GLOBAL_LOCAL = {
    "fc_query": "query",
    "fc_key": "key",
    "fc_value": "value",
    "fc_cls": "target",
    "layer_norm": "norm",
}
_FUSION = {
    "text_fc": "text",
    "image_fc": "image",
    "gate_fc": "gate",
    "gate_layer_norm": "norm",
    "match_module.trans_linear": "match.linear",
    "fusion_module.linear": "fusion.linear",
}


def m3el_from_official(
    state: Mapping[str, Tensor], variant: Literal["cmm", "cmmb"] = "cmm", pooling_heads: int = 5
) -> UnitMatcher:
    """A matcher in published mode with the weights of an official state dict (keys `encoder.*`, `matcher.*`).

    variant: the cross-modal unit to score with. The official code evaluates every data set with CMM and trains
    CMMB on WikiDiverse, so its checkpoint holds both. Parameters that the official code never uses are dropped.
    """
    cross: Literal["uni", "bi"] = "uni" if variant == "cmm" else "bi"
    renamed = rename(state, _names(variant, cross))
    hidden, image_width = state["matcher.iimm.fc_query.weight"].shape
    configuration = M3ELConfiguration(
        hidden=hidden,
        image_width=image_width,
        cross=cross,
        pooling_heads=pooling_heads,
        lexical=False,
        published=True,
    )
    matcher = build_m3el(configuration, _sizes(state))
    matcher.load_state_dict({**matcher.state_dict(), **renamed})
    return matcher.eval()


def _sizes(state: Mapping[str, Tensor]) -> Sizes:
    return Sizes(
        text_global=len(state["matcher.text_cls_layernorm.weight"]),
        text_tokens=len(state["matcher.text_tokens_layernorm.weight"]),
        image_global=state["encoder.image_cls_fc.weight"].shape[1],
        image_tokens=state["encoder.image_tokens_fc.weight"].shape[1],
    )


def _names(variant: str, cross: str) -> dict[str, str]:
    units = {
        f"matcher.{official}.{leaf}": f"units.{unit}.{ours}"
        for official, unit in (("timm", "text"), ("iimm", "image"))
        for leaf, ours in _GLOBAL_LOCAL.items()
    }
    fusion = {
        f"matcher.{variant}.{leaf}": f"heads.fusions.{cross}.{ours}"
        for leaf, ours in _FUSION.items()
        if variant == "cmm" or not leaf.startswith("fusion_module")
    }
    return {**_HEADS, **units, **fusion}
