"""Layers counted from the output, whatever a network calls them."""

from __future__ import annotations

import pytest
from torch import nn

from melder.encoders import build_encoder, layers_above, train_last_layers

TEXTS = ["a red kite by the river"] * 4


class Stack(nn.Module):
    """Embeddings, three numbered layers, a head; the layers under a name of the caller's choice."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(3, 2)
        self.add_module(name, nn.ModuleList([nn.Linear(2, 2), nn.Dropout(), nn.Linear(2, 2)]))
        self.head = nn.Linear(2, 2)


@pytest.mark.parametrize("name", ["layer", "layers", "blocks", "h", "stages", "resblocks"])
def test_layers_are_counted_from_the_output(name: str) -> None:
    encoder = nn.ModuleDict({"text": Stack(name)})
    assert {
        key.removesuffix(".bias").removesuffix(".weight"): above for key, above in layers_above(encoder).items()
    } == {
        "text.embeddings": 2,
        f"text.{name}.0": 1,
        f"text.{name}.2": 0,
        "text.head": 0,
    }


def test_what_has_no_layers_is_all_output() -> None:
    assert set(layers_above(nn.ModuleDict({"image": nn.Sequential(nn.Linear(2, 2))})).values()) == {0}


def test_the_last_layers_of_each_tower_learn_and_what_is_behind_them() -> None:
    encoder = build_encoder("clip:compact", texts=TEXTS)
    train_last_layers(encoder, 1)
    learning = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert {"text.projection.weight", "image.projection.weight"} <= learning
    assert any("layers.1." in name for name in learning)
    assert not any("embedding" in name or "layers.0." in name for name in learning)
    train_last_layers(encoder, 9)
    assert all(parameter.requires_grad for parameter in encoder.parameters())
