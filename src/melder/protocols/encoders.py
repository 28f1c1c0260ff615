"""What turns items into features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor

from melder.features import Features, Sizes
from melder.records import Item

__all__ = ["Encoder", "Inputs"]

Inputs = dict[str, Tensor]  # what an encoder's forward reads: tensors whose first axis is the item


@runtime_checkable
class Encoder(Protocol):
    """Turns items into features; an `nn.Module` whose work on the CPU and on the device are apart.

    `separator` stands between the name and the description (or the surface and the context) of an item's text.
    """

    sizes: Sizes
    separator: str

    def prepare(self, items: Sequence[Item]) -> Inputs:
        """Tokenise the texts and decode the pictures; safe to call in a worker process."""
        ...

    def __call__(self, inputs: Inputs) -> Features:
        """Features without `surfaces`; rows without text have an empty mask, rows without a picture a False."""
        ...

    def save(self, directory: Path) -> None:
        """Write all that `load_encoder` needs, save for the weights, which are in the module's state dict."""
        ...
