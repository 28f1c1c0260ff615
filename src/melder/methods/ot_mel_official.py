"""OT-MEL's official parameter names, and its configuration as a state dict that uses them has it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from melder.features import Sizes
from melder.methods.matcher import UnitMatcher
from melder.methods.official import OfficialWeights, loaded, matrix_shape, rename, under
from melder.methods.ot_mel import OTMELConfiguration, build_ot_mel

__all__ = ["OFFICIAL", "ot_mel_from_official", "ot_mel_official_configuration"]

_HEADS = {
    "encoder.text_tokens_fc": "heads.text_tokens",
    "encoder.image_tokens_fc": "heads.image_tokens",
    "matcher.text_cls_layernorm": "heads.text_global_norm",
    "matcher.text_tokens_layernorm": "heads.text_tokens_norm",
    "matcher.image_cls_layernorm": "heads.image_global_norm",
    "matcher.image_tokens_layernorm": "heads.image_tokens_norm",
}
_LOCAL = {
    "cross.fc_q": "query",
    "cross.fc_k": "key",
    "cross.fc_v": "value",
    "cross.layernorm": "norm",
    "fc_cls": "target",
    "softpool.fc": "pool.weight",
    "softpool.layer_norm": "pool.norm",
}
_MOVE = {
    "trans_ori": "origin",
    "trans_tar": "target",
    "fc_origin": "origin_key",
    "fc_origin_transport": "origin_value",
    "fc_target": "target_key",
    "layernorm": "norm",
}
_FUSION = {
    "fc_text": "text",
    "fc_image": "image",
    "soft_pool_0.fc": "text_pool.weight",
    "soft_pool_0.layer_norm": "text_pool.norm",
    "soft_pool_1.fc": "image_pool.weight",
    "soft_pool_1.layer_norm": "image_pool.norm",
    **under("image2text_transport", "image_to_text", _MOVE),
    **under("text2image_transport", "text_to_image", _MOVE),
}
_NAMES = {
    **_HEADS,
    **under("matcher.text_matcher", "units.text", _LOCAL),
    **under("matcher.image_matcher", "units.image", _LOCAL),
    **under("matcher.multimodal_matcher", "heads.fusions.fusion", _FUSION),
}


def ot_mel_official_configuration(state: Mapping[str, Tensor]) -> OTMELConfiguration:
    """The published mode without distillation, with widths read off the weights.

    Args:
        state: An official state dict (keys `encoder.*`, `matcher.*`).

    Returns:
        The configuration that the weights fit.

    Raises:
        MelderError: A layer is missing: the weights are of another method.
    """
    rename(state, _NAMES)
    hidden, token_width = matrix_shape(state, "matcher.text_matcher.cross.fc_q.weight")
    return OTMELConfiguration(hidden=hidden, token_width=token_width, distillation=None, lexical=False, published=True)


def ot_mel_from_official(state: Mapping[str, Tensor]) -> UnitMatcher:
    """A matcher in published mode with the weights of an official state dict (keys `encoder.*`, `matcher.*`).

    The biases of the published pooling layers have no effect, since a softmax follows; they are left out.

    Args:
        state: An official state dict.

    Returns:
        The matcher, in evaluation mode.

    Raises:
        MelderError: A layer is missing or has another shape than the others say.
    """
    configuration = ot_mel_official_configuration(state)
    return loaded(build_ot_mel(configuration, _sizes(state)), state, _NAMES, without="pool.weight.bias")


def _sizes(state: Mapping[str, Tensor]) -> Sizes:
    return Sizes(
        text_global=len(state["matcher.text_cls_layernorm.weight"]),
        text_tokens=matrix_shape(state, "encoder.text_tokens_fc.weight")[1],
        image_global=len(state["matcher.image_cls_layernorm.weight"]),
        image_tokens=matrix_shape(state, "encoder.image_tokens_fc.weight")[1],
    )


OFFICIAL = OfficialWeights(ot_mel_from_official, ot_mel_official_configuration)
