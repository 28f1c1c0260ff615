"""Decodes pictures: the one place where the bytes of a picture file, perhaps a hostile one, are opened."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.Image import Transpose

from melder.records import MelderError

__all__ = ["FORMATS", "Limits", "UnreadablePicture", "fit", "read_picture"]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")  # what pictures of knowledge bases come in; every other decoder stays shut

_ORIENTATION = 0x0112  # EXIF 2.3, table 4: how to turn the stored picture so that its first row is on top
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Limits:
    """What is refused before anything is decoded."""

    bytes: int = 20_000_000  # above the largest photographs of phones and cameras
    pixels: int = 50_000_000  # width × height; 200 MB once decoded with alpha
    side: int = 2  # a picture of one row or column shows nothing: it is a tracking pixel or a mistake


class UnreadablePicture(MelderError):
    """A picture that cannot be shown to an encoder; the message names it and says why."""


def read_picture(source: Path | bytes, *, limits: Limits | None = None) -> Image.Image:
    """The first frame of a picture in RGB, upright, transparency laid on white.

    Raises UnreadablePicture when it is missing, too large or too small, truncated, or in none of `FORMATS`.
    """
    limits = limits or Limits()
    name = str(source) if isinstance(source, Path) else "the picture given"
    try:
        data = _contents(source, limits)
        with warnings.catch_warnings():
            # Pillow warns of sizes, which the limits govern, and of broken EXIF, which is passed over.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                _check_size(picture, limits)
                picture.load()
                return _upright(_rgb(picture), _orientation(picture))
    # A damaged or hostile file makes decoders fail in any way they can: OSError, struct.error, IndexError …
    except Exception as error:
        raise UnreadablePicture(f"{name}: {_reason(error, limits)}") from None


def fit(picture: Image.Image, size: int) -> NDArray[np.uint8]:
    """[size, size, 3]: the picture resized by LANCZOS, its aspect ratio not kept (as MIMIC's code does)."""
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS), dtype=np.uint8)


class _Refused(Exception):
    """A reason, in words, not to decode a picture."""


def _contents(source: Path | bytes, limits: Limits) -> bytes:
    if isinstance(source, Path):
        if not source.is_file():
            raise _Refused("there is no such file; correct the path or leave the picture out")
        with source.open("rb") as file:
            source = file.read(limits.bytes + 1)
    if len(source) > limits.bytes:
        raise _Refused(f"larger than {limits.bytes:,} bytes; save a smaller one")
    return source


def _check_size(picture: Image.Image, limits: Limits) -> None:
    width, height = picture.size
    if width * height > limits.pixels:
        raise _Refused(f"{width:,}×{height:,} is more than {limits.pixels:,} pixels; save a smaller one")
    if min(width, height) < limits.side:
        raise _Refused(f"{width}×{height} is smaller than {limits.side}×{limits.side}; use a larger one")


def _reason(error: Exception, limits: Limits) -> str:
    if isinstance(error, _Refused):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {limits.pixels:,} pixels; save a smaller one"
    if isinstance(error, UnidentifiedImageError):
        return f"not a picture in one of the formats {', '.join(FORMATS)}; convert it"
    return f"damaged or cut short ({error or type(error).__name__}); replace the file"


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # 16-bit greyscale, which Pillow would clip at 255 rather than scale
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    colours = picture.convert("RGBA")
    white = Image.new("RGBA", colours.size, "white")
    return Image.alpha_composite(white, colours).convert("RGB")


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken EXIF, in any of many ways, does not spoil the pixels
        return 1


def _upright(picture: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)
