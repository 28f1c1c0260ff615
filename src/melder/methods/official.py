"""Weights under the parameter names of the published code, method by method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel
from torch import Tensor

from melder.features import Sizes
from melder.methods.matcher import UnitMatcher
from melder.records import MelderError

__all__ = ["GLOBAL_LOCAL", "HEADS", "OfficialWeights", "loaded", "matrix_shape", "rename", "sizes_of", "under"]


@dataclass(frozen=True)
class OfficialWeights:
    """How published weights of a method are read, registered under its name.

    Args:
        matcher, configuration: What an official state dict describes, in published mode.
        text_field: Of the MIMIC layout, the one that the authors' own data files have.
        variants: What `variant=` may be, for both.
    """

    matcher: Callable[..., UnitMatcher]
    configuration: Callable[..., BaseModel]
    text_field: Literal["attr", "desc"] = "attr"
    variants: tuple[str, ...] = ()


# Official layers and Melder's: the heads that MIMIC and M3EL have, and their unit that matches one modality.
HEADS = {
    "encoder.image_cls_fc": "heads.image_global",
    "encoder.image_tokens_fc": "heads.image_tokens",
    "matcher.text_cls_layernorm": "heads.text_global_norm",
    "matcher.text_tokens_layernorm": "heads.text_tokens_norm",
    "matcher.image_cls_layernorm": "heads.image_global_norm",
    "matcher.image_tokens_layernorm": "heads.image_tokens_norm",
}
GLOBAL_LOCAL = {
    "fc_query": "query",
    "fc_key": "key",
    "fc_value": "value",
    "fc_cls": "target",
    "layer_norm": "norm",
}


def under(official: str, ours: str, layers: Mapping[str, str]) -> dict[str, str]:
    """The same layers with a prefix on either side.

    Args:
        official: Before the names of theirs.
        ours: Before the names of ours.
        layers: Our layers by theirs.

    Returns:
        Our names by theirs, both whole.
    """
    return {f"{official}.{theirs}": f"{ours}.{own}" for theirs, own in layers.items()}


def rename(state: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Weights and biases under Melder's names.

    Args:
        state: An official state dict.
        names: Our layers by theirs; other layers are dropped.

    Returns:
        Weights and biases by our names.

    Raises:
        MelderError: With the layers that the state lacks.
    """
    leaves = ("weight", "bias")
    missing = [layer for layer in names if any(f"{layer}.{leaf}" not in state for leaf in leaves)]
    if missing:
        raise MelderError(f"the official state dict lacks {', '.join(missing)}: is it of another method or variant?")
    return {f"{ours}.{leaf}": state[f"{layer}.{leaf}"] for layer, ours in names.items() for leaf in leaves}


def matrix_shape(state: Mapping[str, Tensor], name: str) -> tuple[int, int]:
    """The rows and columns of a weight.

    Args:
        state: An official state dict.
        name: Of the weight.

    Returns:
        Its rows (what the layer makes) and columns (what it reads).

    Raises:
        MelderError: It is no matrix.
    """
    if state[name].ndim != 2:
        raise MelderError(f"{name} has {state[name].ndim} axes instead of 2: is it of the published code?")
    rows, columns = state[name].shape
    return rows, columns


def sizes_of(state: Mapping[str, Tensor]) -> Sizes:
    """The encoder's sizes, read off the heads of a state dict that has all of them.

    Args:
        state: An official state dict.

    Returns:
        The sizes.

    Raises:
        MelderError: A weight is no matrix.
    """
    return Sizes(
        text_global=len(state["matcher.text_cls_layernorm.weight"]),
        text_tokens=len(state["matcher.text_tokens_layernorm.weight"]),
        image_global=matrix_shape(state, "encoder.image_cls_fc.weight")[1],
        image_tokens=matrix_shape(state, "encoder.image_tokens_fc.weight")[1],
    )


def loaded(
    matcher: UnitMatcher, state: Mapping[str, Tensor], names: Mapping[str, str], without: str | None = None
) -> UnitMatcher:
    """The matcher with official weights, in evaluation mode.

    Args:
        matcher: Built with the widths of the state.
        state: An official state dict.
        names: As for `rename`. What they do not name (`absent`) stays as it is built.
        without: Weights whose names of Melder's end so are left out: what the published code never uses.

    Returns:
        The same matcher.

    Raises:
        MelderError: A layer is missing, or has another shape than the widths say that were read off the others: the
            published code has one width for all units.
    """
    built, official = matcher.state_dict(), {ours: theirs for theirs, ours in names.items()}
    renamed = {name: tensor for name, tensor in rename(state, names).items() if not name.endswith(without or "\0")}
    for name, tensor in renamed.items():
        layer, _, leaf = name.rpartition(".")
        if tensor.shape != built[name].shape:
            raise MelderError(
                f"{official[layer]}.{leaf} has the shape {tuple(tensor.shape)} where the other layers need "
                f"{tuple(built[name].shape)}: the units of a matcher must all have one width"
            )
    matcher.load_state_dict({**built, **renamed})
    return matcher.eval()
