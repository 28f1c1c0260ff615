"""Picture features that were computed once, by whatever network, and are looked up by file name.

A file is safetensors with image_global [n, g], image_tokens [n, P, d] and, in its metadata, `names`: the JSON
list of the n file names. Features are taken as they are, in float32, and not normalised again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from melder.data.pictures import Limits, read_picture
from melder.encoders.towers import Settings
from melder.protocols import Inputs
from melder.records import Item, MelderError

__all__ = ["StoredPictures", "find_files", "find_networks"]

_LAYOUT = "image_global [n, g], image_tokens [n, P, d] and the metadata entry names, a JSON list of n file names"


@dataclass(frozen=True)
class _Stored:
    names: list[str]
    vectors: Tensor
    tokens: Tensor


class StoredPictures(nn.Module):
    """A picture tower without parameters; widths are those of the stored tensors.

    Args:
        files: safetensors files of global vectors and tokens, by the pictures' names
    """

    def __init__(self, files: Sequence[Path]) -> None:
        super().__init__()
        self.files = tuple(file.resolve() for file in files)
        self._parts = [_read(file) for file in self.files]
        self._rows = _index(self.files, self._parts)
        vectors, tokens = _common_shape(self.files, self._parts)
        self.widths, self.positions = (vectors[-1], tokens[-1]), tokens[0]
        self.blank: Inputs = {"image_global": torch.zeros(vectors), "image_tokens": torch.zeros(tokens)}

    def read(self, item: Item) -> Inputs:
        """The stored features of a picture; the view that `item.augment` asks for does not exist."""
        if not isinstance(item.image, Path):
            raise MelderError(
                "precomputed: cannot encode a picture given as bytes; give the name of a stored one, "
                "or use a model that sees (clip: or paired:)"
            )
        if item.image.name not in self._rows:
            raise MelderError(
                f"precomputed: no features of picture '{item.image.name}' in {_listed(self.files)}; "
                "add them there, or use a model that sees (clip: or paired:)"
            )
        part, row = self._rows[item.image.name]
        stored = self._parts[part]
        return {"image_global": stored.vectors[row].float(), "image_tokens": stored.tokens[row].float()}

    def check(self, content: bytes, limits: Limits | None = None) -> None:
        read_picture(content, limits=limits)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        return inputs["image_global"], inputs["image_tokens"]

    def save(self, directory: Path) -> Settings:
        return {"kind": "stored", "files": [str(file) for file in self.files]}

    @staticmethod
    def load(directory: Path, settings: Settings) -> StoredPictures:
        return StoredPictures([Path(file) for file in settings["files"]])


def find_networks(spec: str) -> list[str]:
    """The `<files>` of each network: parts between plus signs, unless these belong to the names of what is there.

    Args:
        spec: What stands before the text model in a specification.

    Returns:
        For each network a directory, or a comma-separated list.

    Raises:
        MelderError: Nothing stands before or behind a plus sign.
    """
    if "+" not in spec or all(os.path.exists(_path(part.strip())) for part in spec.split(",")):
        return [spec]
    networks = [network.strip() for network in spec.split("+")]
    if not all(networks):
        raise MelderError(f"precomputed: {spec!r} names nothing before or behind a '+': write <files>+<files>+<text>")
    return networks


def find_files(spec: str) -> list[Path]:
    """The files that `<files>` of a specification means: those of a directory, or a comma-separated list.

    Args:
        spec: what stands behind `precomputed:`, before the +

    Returns:
        in the order of their names

    Raises:
        MelderError: A directory holds none.
    """
    folder = _path(spec)
    if not os.path.isdir(folder):
        return [_path(part.strip()) for part in spec.split(",")]
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise MelderError(f"precomputed: directory '{spec}' holds no .safetensors file; see how to write them")
    return files


def _path(spec: str) -> Path:
    try:
        return Path(spec).expanduser().resolve()
    except (RuntimeError, ValueError, OSError) as error:  # a ~ of nobody's, a character that no name has
        raise MelderError(
            f"precomputed: {spec!r} names no file ({error}); correct the encoder's specification"
        ) from None


def _read(file: Path) -> _Stored:
    """Tensors stay in the memory-mapped file until a row is read."""
    if not os.path.isfile(file):
        raise MelderError(f"precomputed: no file '{file}'; bring it back, or correct the encoder's specification")
    try:
        with safe_open(file, framework="pt") as content:
            names = _names((content.metadata() or {})["names"])
            stored = _Stored(names, content.get_tensor("image_global"), content.get_tensor("image_tokens"))
    except (SafetensorError, OSError, LookupError, ValueError, TypeError, RuntimeError) as error:
        raise MelderError(f"precomputed: '{file}' is not {_LAYOUT} ({error})") from error
    if (stored.vectors.dim(), stored.tokens.dim()) != (2, 3) or not (
        len(names) == len(stored.vectors) == len(stored.tokens)
    ):
        shapes = f"{list(stored.vectors.shape)}, {list(stored.tokens.shape)}, {len(names)} names"
        raise MelderError(f"precomputed: '{file}' is not {_LAYOUT}, but {shapes}")
    if any(tensor.is_complex() or not tensor.numel() for tensor in (stored.vectors, stored.tokens)):
        raise MelderError(
            f"precomputed: '{file}' holds no features, or complex numbers; write it again, or leave it out"
        )
    return stored


def _names(content: str) -> list[str]:
    names = json.loads(content)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("names is no list of names")
    "".join(names).encode()  # half a surrogate pair is no part of a name, and could not be printed
    return names


def _index(files: Sequence[Path], parts: Sequence[_Stored]) -> dict[str, tuple[int, int]]:
    """Where each picture is: (part, row)."""
    rows: dict[str, tuple[int, int]] = {}
    for number, part in enumerate(parts):
        for row, name in enumerate(part.names):
            if name in rows:
                both = f"'{files[rows[name][0]]}' and '{files[number]}'"
                raise MelderError(f"precomputed: picture '{name}' is in {both}; names must be unique: leave one out")
            rows[name] = (number, row)
    return rows


def _common_shape(files: Sequence[Path], parts: Sequence[_Stored]) -> tuple[torch.Size, torch.Size]:
    shapes = [(part.vectors.shape[1:], part.tokens.shape[1:]) for part in parts]
    for file, shape in zip(files, shapes, strict=True):
        if shape != shapes[0]:
            raise MelderError(
                f"precomputed: features of '{file}' are {shape}, of '{files[0]}' {shapes[0]}; "
                "use files that one network wrote"
            )
    return shapes[0]


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(str(file) for file in files[:3]) + (" …" if len(files) > 3 else "")
