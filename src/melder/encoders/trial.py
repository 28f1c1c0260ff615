"""Whether a tower makes of a text or a picture the same each time, whatever stands beside it: tried when it is read.

What depends on chance (a masked autoencoder hides patches), or on what else is in the batch, would be wrong silently.
"""

from __future__ import annotations

import torch
from torch import Tensor

from melder.encoders.pixels import Pixels
from melder.encoders.sources import ModelSource, reading
from melder.encoders.towers import ImageTower, TextTower
from melder.records import MelderError

__all__ = ["check_pictures", "settle_padding"]

TOLERANCE = 1e-4  # of vectors of length one: other shapes are computed by other kernels


def check_pictures(source: ModelSource, tower: ImageTower, pixels: Pixels) -> None:
    """Refuse a vision model whose features of a picture depend on chance, or on the pictures beside it.

    Args:
        source: where the model is
        tower: it, in evaluation mode
        pixels: what reads its pictures

    Raises:
        MelderError: says which
    """
    grey, size = pixels.example, pixels.form.size
    slope = torch.arange(size).mul(255).div(size).to(torch.uint8).expand(1, 3, size, size)
    both = {"pixels": torch.cat([slope, grey["pixels"]]), "image_mask": grey["image_mask"].repeat(2)}
    alone = {name: tensor[:1] for name, tensor in both.items()}
    with reading(source, "it does not read plain pictures"), torch.no_grad():
        vectors, again, single = (tower(inputs)[0] for inputs in (both, both, alone))
    if len(vectors) != 2:
        raise _refused(source, "it joins several pictures into one")
    if not _same(vectors, again):
        raise _refused(source, "it gives other features each time, as one does that hides parts at random")
    if not _same(vectors[:1], single):
        raise _refused(source, "its features of a picture depend on the pictures beside it")


def settle_padding(source: ModelSource, tower: TextTower) -> None:
    """Have every text padded to the full length where the model reads padding in spite of its mask.

    Then a text's features do not depend on its batch. Such models are FNet, CANINE, ConvBERT, MobileBERT.

    Args:
        source: where the model is
        tower: it, in evaluation mode

    Raises:
        MelderError: its features depend on chance
    """
    inputs, tokens = tower.prepare(["."]), tower.tokens
    with reading(source, "its text cannot be computed"), torch.no_grad():
        vectors, again = (tower(inputs)[0] for _ in range(2))
        if not _same(vectors, again):
            raise _refused(source, "it gives other features each time")
        own = int(inputs["attention_mask"].sum())
        narrow = {**inputs, **{name: inputs[name][:, :own] for name in ("input_ids", "attention_mask")}}
        if tokens.padded is None and not _same(vectors, tower(narrow)[0]):
            tokens.padded = tokens.length


def _same(first: Tensor, second: Tensor) -> bool:
    size = max(1.0, float(first.abs().max()))
    return bool((first - second).abs().max() < TOLERANCE * size)


def _refused(source: ModelSource, reason: str) -> MelderError:
    return MelderError(f"model '{source.name}' cannot be an encoder: {reason}; use another model")
