"""Weights under the parameter names of the published code, method by method."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from melder.records import MelderError

__all__ = ["rename"]


def rename(state: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Weights and biases under Melder's names; `names` maps official layers to ours, other layers are dropped.

    Raises `MelderError` with the layers that the state lacks.
    """
    leaves = ("weight", "bias")
    missing = [layer for layer in names if any(f"{layer}.{leaf}" not in state for leaf in leaves)]
    if missing:
        raise MelderError(f"the official state dict lacks {', '.join(missing)}: is it of another method or variant?")
    return {f"{ours}.{leaf}": state[f"{layer}.{leaf}"] for layer, ours in names.items() for leaf in leaves}
