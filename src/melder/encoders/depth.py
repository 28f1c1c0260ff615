"""How deep in its tower a parameter lies: what decides which layers are trained, and how fast each learns."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import nn

from melder.records import MelderError

__all__ = ["layers_above", "train_last_layers"]

# The names under which transformers, timm and Melder's own networks keep a stack of layers.
_LAYER = re.compile(r"(?:^|\.)(?:layers?|blocks?|h|stages|resblocks)\.(\d+)\.")


def layers_above(encoder: nn.Module) -> dict[str, int]:
    """For every parameter, the number of layers between it and its tower's output.

    Those of the last layer, and all behind it such as poolers and projections, have 0; embeddings, which come before
    the first layer, have the number of layers. A tower is what a direct child of the encoder holds. Of stages that
    hold layers the stages count.

    Args:
        encoder: Whose children are towers.

    Returns:
        By the parameter's name.
    """
    above = dict[str, int]()
    for tower, module in encoder.named_children():
        placed = list(_placed(module))
        layers = sorted(_layers(module), reverse=True)
        before = len(layers)  # until the first layer is reached
        for name, layer in placed:
            before = before if layer is None else 0
            above[f"{tower}.{name}"] = before if layer is None else layers.index(layer)
    return above


def train_last_layers(encoder: nn.Module, count: int) -> None:
    """Freeze what lies before the last `count` layers of each tower; what is behind them learns too.

    Args:
        encoder: Which is changed.
        count: Of layers, of each tower.

    Raises:
        MelderError: No tower has so many layers.
    """
    layers = {tower: len(_layers(module)) for tower, module in encoder.named_children()}
    if count > max(layers.values(), default=0):
        listed = ", ".join(f"{tower} {number}" for tower, number in layers.items())
        raise MelderError(
            f"encoder.trained_layers is {count}, but the towers of this encoder have fewer layers ({listed}); "
            "lower it, or leave it out to train all of them"
        )
    above = layers_above(encoder)
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(above.get(name, 0) < count)


def _layers(tower: nn.Module) -> set[int]:
    return {layer for _, layer in _placed(tower) if layer is not None}


def _placed(module: nn.Module) -> Iterator[tuple[str, int | None]]:
    for name, _ in module.named_parameters():
        match = _LAYER.search(name)
        yield name, None if match is None else int(match[1])
