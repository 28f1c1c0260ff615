"""An encoder of pictures without weights: the mean colours of a grid of squares. Texts as clip:compact has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from melder.data.pictures import Limits, read_picture
from melder.encoders.compact import compact_text
from melder.encoders.kinds import EncoderKind, Parts
from melder.encoders.towers import Options
from melder.protocols import Inputs
from melder.records import Item

SIDE = 4  # squares


class GridPictures(nn.Module):
    """SIDE * SIDE tokens of three numbers, red, green and blue; the global vector is all of them."""

    widths = (3 * SIDE * SIDE, 3)
    positions = SIDE * SIDE

    def __init__(self) -> None:
        super().__init__()
        self.blank: Inputs = {"colours": torch.zeros(SIDE * SIDE, 3)}

    def check(self, content: bytes, limits: Limits | None = None) -> None:
        read_picture(content, limits=limits)

    def read(self, item: Item) -> Inputs:
        assert item.image is not None
        picture = read_picture(item.image).convert("RGB").resize((SIDE, SIDE))
        return {"colours": torch.from_numpy(np.asarray(picture, np.float32) / 127.5 - 1).reshape(-1, 3)}

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        colours = inputs["colours"].float()
        return normalize(colours.flatten(1), dim=-1), colours

    def save(self, directory: Path) -> dict[str, Any]:
        return {"kind": "grid"}

    @classmethod
    def load(cls, directory: Path, content: dict[str, Any]) -> GridPictures:
        return cls()


def _grid(rest: str, options: Options) -> Parts:
    return Parts(compact_text(options), GridPictures())


GRID = EncoderKind(_grid, from_scratch=lambda rest: True, trained_by_default=True)
