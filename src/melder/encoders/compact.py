"""`clip:compact`: a small CLIP that learns from a few thousand examples, in minutes, on two CPU cores.

Its text tower is CLIP's in small, over a tokenizer of its own. Its picture tower is a residual convolutional
network: convolutions hold what a transformer would have to learn from far more pictures. It normalises each
picture by itself (GroupNorm with one group), so that a picture's features do not depend on its batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, normalize, relu
from transformers import CLIPTextConfig

from melder.data.pictures import Limits
from melder.encoders.clip import ClipText, new_text
from melder.encoders.pixels import PixelFormat, Pixels
from melder.encoders.tokens import Tokens
from melder.encoders.towers import Options, Settings
from melder.encoders.vocabulary import train_tokenizer
from melder.protocols import Inputs
from melder.records import Item

__all__ = ["CompactPictures", "compact_pictures", "compact_text"]

PROJECTION = 128
TEXT_WIDTH, TEXT_LAYERS, TEXT_HEADS = 128, 2, 4
SIZE = 96  # pixels; four halvings leave 6 × 6 positions, of 64 pixels 4 × 4
# Channels after each halving, and residual blocks at that resolution: depth goes where a position is cheap.
STAGES = ((16, 0), (40, 0), (80, 1), (128, 1))
Stages = Sequence[tuple[int, int]]  # (channels, blocks)


class PictureNorm(nn.GroupNorm):
    """GroupNorm with one group.

    PyTorch 2.13's gradient of it on a CPU ends the process where the maps are channels-last and what is before them is
    frozen, so that only weight and bias learn; such maps are laid out the other way.
    """

    def __init__(self, width: int) -> None:
        super().__init__(1, width)

    def forward(self, maps: Tensor) -> Tensor:
        learns_alone = self.weight.requires_grad and torch.is_grad_enabled() and not maps.requires_grad
        return super().forward(maps.contiguous() if learns_alone else maps)


class Residual(nn.Module):
    """x + two 3 × 3 convolutions of the normalised x."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = PictureNorm(width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = maps + self.second(relu(self.first(relu(self.norm(maps)))))
        return out


class CompactPictures(nn.Module):
    """Tokens are the positions of the last feature map, after one that is their mean.

    Normalisation takes away how bright and how colourful a picture is as a whole, which tells flags and fruit
    apart: the mean colour of each position joins the last feature map.

    Args:
        stages: Channels after each halving of the picture's sides, and residual blocks at that resolution.
        projection: The width of the global vector.
        pixels: Makes the network's input of pictures.
        raw: The global vector is the one before the projection.
    """

    def __init__(self, stages: Stages, projection: int, pixels: Pixels, *, raw: bool = False) -> None:
        super().__init__()
        width = stages[-1][0]
        self.pixels, self.blank, self.raw = pixels, pixels.blank, raw
        self.widths = (width if raw else projection, width)
        self.positions = 1 + math.ceil(pixels.form.size / 2 ** len(stages)) ** 2
        self._stages = stages
        self.stages = nn.Sequential(*_layers(stages))
        self.tokens = nn.Linear(width + 3, width)
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, projection, bias=False)

    def read(self, item: Item) -> Inputs:
        return self.pixels.read(item)

    def check(self, content: bytes, limits: Limits | None = None) -> None:
        self.pixels.check(content, limits)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        picture = self.pixels(inputs)
        maps = self.stages(picture.contiguous(memory_format=torch.channels_last))
        colours = adaptive_avg_pool2d(picture, maps.shape[-2:])
        positions = self.tokens(torch.cat([maps, colours], dim=1).flatten(2).transpose(1, 2))
        tokens = self.norm(torch.cat([positions.mean(dim=1, keepdim=True), positions], dim=1))
        return tokens[:, 0] if self.raw else normalize(self.projection(tokens[:, 0]), dim=-1), tokens

    def save(self, directory: Path) -> Settings:
        pixels = self.pixels.form.to_json()
        size = self.projection.out_features
        return {"kind": "compact", "stages": self._stages, "projection": size, "pixels": pixels, "raw": self.raw}

    @staticmethod
    def load(directory: Path, settings: Settings) -> CompactPictures:
        pixels = Pixels(PixelFormat.from_json(settings["pixels"]))
        return CompactPictures(settings["stages"], settings["projection"], pixels, raw=settings.get("raw", False))


def compact_pictures(options: Options, size: int = SIZE) -> CompactPictures:
    """A picture tower of random weights, to be trained.

    Args:
        options: Of the encoder.
        size: Of a picture's side, in pixels.

    Returns:
        The tower.
    """
    form = PixelFormat(size, mean=(0.5,) * 3, deviation=(0.25,) * 3)
    return CompactPictures(STAGES, PROJECTION, Pixels(form.read_for(options)), raw=options.raw)


def compact_text(options: Options) -> ClipText:
    """A text tower whose tokenizer is trained on `options.texts`.

    Args:
        options: Of the encoder; it reads `texts` once.

    Returns:
        The tower, of random weights.
    """
    tokenizer = train_tokenizer(options.texts)
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=TEXT_HEADS,
        max_position_embeddings=options.text_length,
        hidden_act="gelu",
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return new_text(config, PROJECTION, Tokens(tokenizer, options.text_length, fixed=options.published))


def _layers(stages: Stages) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(3, stages[0][0], 5, stride=2, padding=2), nn.ReLU()]
    layers += [Residual(stages[0][0]) for _ in range(stages[0][1])]
    for (narrow, _), (wide, blocks) in pairwise(stages):
        layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1), PictureNorm(wide), nn.ReLU()]
        layers += [Residual(wide) for _ in range(blocks)]
    return layers
