"""EfficientNet-Lite2: a convolutional network for pictures of 260 pixels a side (Tan and Le, 2019, made light).

Nothing in it needs more than convolutions and ReLU6: no attention, no squeeze and excitation. Tokens are the 9 × 9
positions of the last feature map, and their mean is the global vector. Normalisation keeps the statistics of ImageNet
in training too, so that a picture's features do not depend on its batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.functional import pad

__all__ = ["STRIDE", "WIDTH", "EfficientNetLite2"]

STEM, WIDTH = 32, 1280  # channels of the first and of the last convolution
STRIDE = 32  # of all convolutions together: pixels between two positions
EPSILON = 1e-3  # that of TensorFlow's BatchNorm there


class Stage(NamedTuple):
    """Blocks in a row, of which the first has the stride; `expansion` is of the channels within a block."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


# EfficientNet-B0's stages, 1.1 times as wide and 1.2 times as deep (first and last stage: as deep as they were).
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(3, 3, 2, 6, 24),
    Stage(3, 5, 2, 6, 48),
    Stage(4, 3, 2, 6, 88),
    Stage(4, 5, 1, 6, 120),
    Stage(5, 5, 2, 6, 208),
    Stage(1, 3, 1, 6, 352),
)


class NormedConvolution(nn.Module):
    """A convolution padded as TensorFlow's SAME does it, BatchNorm with its fixed statistics, and ReLU6 if `bent`."""

    def __init__(
        self, channels: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1, *, bent: bool = True
    ) -> None:
        super().__init__()
        self.bent = bent
        self.convolution = nn.Conv2d(channels, out, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out, eps=EPSILON)

    def forward(self, maps: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.convolution.kernel_size, self.convolution.stride
        rows, columns = (_padding(size, kernel, stride) for size in maps.shape[-2:])
        out: Tensor = self.norm(self.convolution(pad(maps, (*columns, *rows))))
        return out.clamp(0, 6) if self.bent else out


class InvertedResidual(nn.Module):
    """To many channels, a convolution of each channel by itself, back to few; the input is added where shapes agree."""

    def __init__(self, channels: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = channels * stage.expansion
        self.expand = NormedConvolution(channels, wide) if stage.expansion > 1 else None
        self.depthwise = NormedConvolution(wide, wide, stage.kernel, stride, groups=wide)
        self.project = NormedConvolution(wide, stage.channels, bent=False)
        self.adds = stride == 1 and channels == stage.channels

    def forward(self, maps: Tensor) -> Tensor:
        wide = maps if self.expand is None else self.expand(maps)
        out: Tensor = self.project(self.depthwise(wide))
        return out + maps if self.adds else out


class EfficientNetLite2(nn.Module):
    """Pictures [n, 3, 260, 260] to feature maps [n, 1280, 9, 9]; any other size gives one position for 32 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = NormedConvolution(3, STEM, kernel=3, stride=2)
        self.blocks = nn.Sequential(*_blocks())
        self.head = NormedConvolution(STAGES[-1].channels, WIDTH)

    def forward(self, pictures: Tensor) -> Tensor:
        out: Tensor = self.head(self.blocks(self.stem(pictures)))
        return out


def _blocks() -> Iterator[InvertedResidual]:
    channels = STEM
    for stage in STAGES:
        for number in range(stage.blocks):
            yield InvertedResidual(channels, stage, stage.stride if number == 0 else 1)
            channels = stage.channels


def _padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Before and after, so that `size` / `stride` values come out, rounded up; an odd one goes after."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
