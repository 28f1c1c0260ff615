"""Pictures to pixels: read, fitted to a square, perhaps varied, kept small, normalised on the device."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from melder.data.pictures import Limits, fit, fit_stored, read_picture
from melder.encoders.sources import ModelSource
from melder.encoders.square_cache import FileSquares, SquareCache
from melder.encoders.towers import Options, Settings
from melder.encoders.views import random_view
from melder.protocols import Inputs
from melder.records import Item, MelderError

__all__ = ["PixelFormat", "Pixels"]

_FIRST = ("size", "mean", "deviation", "scale")  # settings of a format that were always written
_MARGIN = 1.25  # random views are cut from a square this much larger, so that a crop loses little sharpness
_CACHE = 512  # megabytes: 19,000 plain pictures of clip:compact, 3,500 of a CLIP that reads 224 pixels


@dataclass(frozen=True)
class PixelFormat:
    """What a vision model expects: side of the square; value = (pixel * scale - mean) / deviation, by channel.

    Args:
        patch: Side of the patches that the model wants its picture cut into (NaFlex); None = it wants the square.
        stored: Take pictures as they are stored, as published loaders do: not set upright, transparency dropped.
        reduced: Large JPEGs may be decoded at a fraction of their size.
        formats, pixels: What is decoded at all (`melder.data.pictures.Limits`); None = the usual.
    """

    size: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    scale: float = 1 / 255
    patch: int | None = None
    stored: bool = False
    reduced: bool = False
    formats: tuple[str, ...] | None = None
    pixels: int | None = None

    @staticmethod
    def of(processor: Any, source: ModelSource) -> PixelFormat:
        """The format that a transformers image processor produces."""
        if timm := getattr(processor, "data_config", None):
            return PixelFormat(timm["input_size"][-1], tuple(timm["mean"]), tuple(timm["std"]))
        size, patch = _side(processor, source), getattr(processor, "max_num_patches", None) and processor.patch_size
        mean, deviation = (0.0,) * 3, (1.0,) * 3
        if processor.do_normalize:
            mean, deviation = tuple(processor.image_mean), tuple(processor.image_std)
        return PixelFormat(size, mean, deviation, processor.rescale_factor if processor.do_rescale else 1.0, patch)

    def read_for(self, options: Options) -> PixelFormat:
        """The same format, read as an encoder's options have it."""
        published = options.published
        return replace(self, stored=published, reduced=not published, formats=options.formats, pixels=options.pixels)

    @property
    def limits(self) -> Limits:
        """What is refused of a picture."""
        usual = Limits()
        return replace(usual, formats=self.formats or usual.formats, pixels=self.pixels or usual.pixels)

    def to_json(self) -> Settings:
        """The settings, without later ones that are as they were before there were these."""
        content = asdict(self)
        return {name: value for name, value in content.items() if name in _FIRST or value}

    @staticmethod
    def from_json(content: Settings) -> PixelFormat:
        lists = {name: tuple(value) for name, value in content.items() if isinstance(value, (list, tuple))}
        return PixelFormat(**{**content, **lists})


class Pixels(nn.Module):
    """Reads items' pictures as uint8 squares and turns batches of them into a vision model's input.

    Decoding dominates, so squares of files are kept in memory, `cache` megabytes of them at most; the first
    to come stay, because an epoch reads each picture once and would drive everything out of a queue. Of pictures
    given as bytes the squares of the last few are kept: a service checks each before it queues for the encoder.

    Args:
        form: what the model reads: size, colours, resampling
        cache: megabytes of squares of files that are kept
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, form: PixelFormat, cache: int = _CACHE) -> None:
        super().__init__()
        self.form = form
        self.blank: Inputs = {"pixels": torch.zeros(3, form.size, form.size, dtype=torch.uint8)}
        self.register_buffer("mean", torch.tensor(form.mean)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(form.deviation)[:, None, None], persistent=False)
        self._files = FileSquares(cache)
        self._given = SquareCache()

    def check(self, content: bytes, limits: Limits | None = None) -> None:
        """Decode a picture within limits, None = its own, and keep its plain view for `read`."""
        size = self.form.size
        self._given.square(content, size, lambda: self._decoded(content, size, limits or self.form.limits))

    def read(self, item: Item) -> Inputs:
        """pixels [3, size, size], uint8; the view that `item.augment` names, or the plain one."""
        assert item.image is not None
        size = self.form.size
        if item.augment is None:
            square = self._square(item.image, size)
        else:
            square = random_view(self._square(item.image, int(size * _MARGIN)), item.augment, size)
        return {"pixels": torch.from_numpy(np.ascontiguousarray(square.transpose(2, 0, 1)))}

    def forward(self, inputs: Inputs) -> Tensor:
        """[n, 3, size, size], floating point; zeros, which is the mean colour, where there is no picture."""
        values = (inputs["pixels"].to(self.mean.dtype) * self.form.scale - self.mean) / self.deviation
        return values * inputs["image_mask"][:, None, None, None]

    @property
    def example(self) -> Inputs:
        """One grey picture, by which the shape of what a model makes of pictures is found out."""
        return {"pixels": self.blank["pixels"][None] + 127, "image_mask": torch.ones(1, dtype=torch.bool)}

    def model_inputs(self, inputs: Inputs) -> Inputs:
        """What the model's forward is called with: pixel_values, or patches with where they were."""
        values, side = self(inputs), self.form.patch
        if side is None:
            return {"pixel_values": values}
        count, rows = len(values), self.form.size // side
        patches = values.reshape(count, 3, rows, side, rows, side).permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)
        shapes = torch.full((count, 2), rows, device=values.device)
        mask = torch.ones(count, rows * rows, dtype=torch.int32, device=values.device)
        return {"pixel_values": patches, "pixel_attention_mask": mask, "spatial_shapes": shapes}

    def _square(self, source: Path | bytes, side: int) -> np.ndarray:
        if isinstance(source, bytes):
            return self._given.square(source, side, lambda: self._decoded(source, side, self.form.limits))
        return self._files.square(source, side, lambda: self._decoded(source, side, self.form.limits))

    def _decoded(self, source: Path | bytes, side: int, limits: Limits) -> np.ndarray:
        """[side, side, 3] of a picture, as published loaders or as Melder reads it."""
        if self.form.stored:
            return fit_stored(source, side, limits=limits)
        return fit(read_picture(source, limits=limits, needed=side if self.form.reduced else None), side)


def _side(processor: Any, source: ModelSource) -> int:
    """Of the square that a processor makes; of as many patches as a NaFlex model reads at most."""
    if patches := getattr(processor, "max_num_patches", None):
        return isqrt(patches) * int(processor.patch_size)
    sizes = processor.crop_size if getattr(processor, "do_center_crop", False) else processor.size
    size = sizes and (sizes.get("height") or sizes.get("shortest_edge"))
    if not size or sizes.get("width", size) != size:
        raise MelderError(f"vision model '{source.name}' reads pictures of size {sizes}, not squares")
    return int(size)
