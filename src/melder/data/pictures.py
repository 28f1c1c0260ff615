"""Decodes pictures: the one place where the bytes of a picture file, perhaps a hostile one, are opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from melder.data.picture_blocks import FewReads, PictureRefusal, check_passes, check_resources
from melder.data.picture_orientation import orientation_of, upright
from melder.data.pillow_warnings import silenced
from melder.records import MelderError

__all__ = [
    "FORMATS",
    "WEB_FORMATS",
    "Limits",
    "UnreadablePicture",
    "fit",
    "fit_stored",
    "read_picture",
]

WEB_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")  # what strangers may send: the decoders that browsers have hardened
FORMATS = (*WEB_FORMATS, "AVIF", "TIFF", "BMP")  # what collections come in; every other decoder stays shut

_LIGHT = 239  # of 255: what is lighter cannot be seen on white
_GREY = (128, 128, 128)
_STRIP = 256  # rows
_SAMPLE = 256  # pixels a side, by which a background is chosen


@dataclass(frozen=True)
class Limits:
    """What is refused before anything is decoded.

    Args:
        bytes: Of a file.
        pixels: Width × height as decoded.
        side: Pixels of the shorter side at least.
        scan: Width × height of a JPEG, which is decoded at a half, a quarter or an eighth of its size.
        formats: As Pillow calls them.
    """

    bytes: int = 200_000_000  # above the largest scans of archives
    pixels: int = 50_000_000  # width × height as decoded; 200 MB with alpha
    side: int = 2  # a picture of one row or column shows nothing: it is a tracking pixel or a mistake
    scan: int = 250_000_000  # width × height of a JPEG, which is decoded at a half, a quarter or an eighth of its size
    formats: tuple[str, ...] = FORMATS  # as Pillow calls them


class UnreadablePicture(MelderError):
    """A picture that cannot be shown to an encoder; the message names it and says why."""


def read_picture(source: Path | bytes, *, limits: Limits | None = None, needed: int | None = None) -> Image.Image:
    """The first frame of a picture in RGB, upright, transparency laid on white, or on grey.

    On grey is laid what could not be seen on white: a picture of which half of what is visible, or more, is lighter
    than 239 of 255, such as a white logo.

    Args:
        source: a file, or its bytes
        limits: what is refused; None = the usual
        needed: no side needs more pixels than this: a large JPEG may be decoded at a fraction of its size, twice this
            at least, which is sooner and takes less memory; None = decode it in full, if `limits.pixels` lets it

    Returns:
        In RGB.

    Raises:
        UnreadablePicture: it is missing, too large or too small, truncated, or in none of the formats
    """
    with _opened(source, limits or Limits(), needed) as picture:
        return upright(_rgb(picture), orientation_of(picture))


def fit_stored(source: Path | bytes, size: int, *, limits: Limits | None = None) -> NDArray[np.uint8]:
    """What `fit` makes of the first frame as it is stored: EXIF is not looked at, and transparency is dropped.

    So do the loaders of published methods.

    Args:
        source: A file, or its bytes.
        size: Of a side, in pixels.
        limits: What is refused; None = the usual.

    Returns:
        [size, size, 3].

    Raises:
        UnreadablePicture: As `read_picture` does.
    """
    with _opened(source, limits or Limits(), None) as picture:
        picture.info.pop("transparency", None)  # or Pillow warns that it is dropped, which is what is wanted
        return fit(picture, size)


def fit(picture: Image.Image, size: int) -> NDArray[np.uint8]:
    """The picture resized by LANCZOS, aspect ratio not kept, then in RGB, as MIMIC's code does.

    Args:
        picture: Of any mode.
        size: Of a side, in pixels.

    Returns:
        [size, size, 3].
    """
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS).convert("RGB"), dtype=np.uint8)


@contextmanager
def _opened(source: Path | bytes, limits: Limits, needed: int | None) -> Iterator[Image.Image]:
    """The decoded picture; whatever goes wrong with it, also while it is used, is an UnreadablePicture."""
    name = str(source) if isinstance(source, Path) else "the picture given"
    try:
        data = _contents(source, limits)
        check_resources(data)
        with silenced(), Image.open(FewReads(data), formats=limits.formats) as picture:
            _check_scan(picture, limits)
            check_passes(picture, data)
            _reduce(picture, limits, needed)
            _check_size(picture, limits)
            picture.load()
            yield picture
    except PictureRefusal as refusal:
        raise UnreadablePicture(f"{name}: {refusal}") from None
    # A damaged or hostile file makes decoders fail in any way they can: OSError, struct.error, IndexError …
    except Exception as error:
        raise UnreadablePicture(f"{name}: {_reason(error, limits)}") from None


def _contents(source: Path | bytes, limits: Limits) -> bytes:
    if isinstance(source, Path):
        if not source.is_file():
            raise PictureRefusal("there is no such file; correct the path or leave the picture out")
        with source.open("rb") as file:
            source = file.read(limits.bytes + 1)
    if len(source) > limits.bytes:
        raise PictureRefusal(f"larger than {limits.bytes:,} bytes; save a smaller one")
    return source


def _check_scan(picture: Image.Image, limits: Limits) -> None:
    width, height = picture.size
    most = max(limits.scan, limits.pixels) if picture.format == "JPEG" else limits.pixels
    if width * height > most:
        raise PictureRefusal(f"{width:,}×{height:,} is more than {most:,} pixels; save a smaller one")


def _reduce(picture: Image.Image, limits: Limits, needed: int | None) -> None:
    """Let a JPEG be decoded at a half, a quarter or an eighth: where that is all that is needed, or all there is room
    for."""
    if picture.format != "JPEG":
        return
    width, height = picture.size
    wanted = (width, height) if needed is None else (min(2 * needed, width), min(2 * needed, height))
    while wanted[0] * wanted[1] > limits.pixels and min(wanted) > 1:
        wanted = wanted[0] // 2, wanted[1] // 2
    picture.draft(picture.mode, wanted)


def _check_size(picture: Image.Image, limits: Limits) -> None:
    width, height = picture.size
    if width * height > limits.pixels:
        raise PictureRefusal(f"{width:,}×{height:,} is more than {limits.pixels:,} pixels; save a smaller one")
    if min(width, height) < limits.side:
        raise PictureRefusal(f"{width}×{height} is smaller than {limits.side}×{limits.side}; use a larger one")


def _reason(error: Exception, limits: Limits) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {limits.pixels:,} pixels; save a smaller one"
    if isinstance(error, UnidentifiedImageError):
        return f"not a picture in one of the formats {', '.join(limits.formats)}; convert it"
    return f"damaged or cut short ({error or type(error).__name__}); replace the file"


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith(("I", "F")):  # greyscale of more than 8 bits, which Pillow would clip at 255
        picture = Image.fromarray(_eight_bits(np.asarray(picture)))
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    return _laid_on(picture, _GREY if _is_light(picture) else (255, 255, 255))


def _laid_on(picture: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """In strips, since Pillow makes four copies of what it lays on something."""
    whole = Image.new("RGB", picture.size)
    for top in range(0, picture.height, _STRIP):
        strip = picture.crop((0, top, picture.width, min(top + _STRIP, picture.height))).convert("RGBA")
        whole.paste(Image.alpha_composite(Image.new("RGBA", strip.size, background), strip).convert("RGB"), (0, top))
    return whole


def _eight_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Greyscale in its real range: of as many bits as its lightest value has (cameras and scanners store 12 in 16).

    Numbers that are no integers are of the range 0 to 1; if they are not, their own range is taken.
    """
    if values.dtype.kind == "f":
        finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        low, high = min(0.0, float(finite.min())), max(1.0, float(finite.max()))
        return np.asarray((finite - low) * (255 / (high - low)), dtype=np.uint8)
    whole = np.maximum(values.astype(np.int64), 0)
    return np.asarray(whole >> max(0, int(whole.max()).bit_length() - 8), dtype=np.uint8)


def _is_light(picture: Image.Image) -> bool:
    """Whether half of what is visible, or more, could not be seen on white; by some of the pixels of a large one."""
    size = (min(picture.width, _SAMPLE), min(picture.height, _SAMPLE))
    sample = picture.resize(size, Image.Resampling.NEAREST).convert("RGBA")
    luma, alpha = np.asarray(sample.convert("RGB").convert("L")), np.asarray(sample.getchannel("A"), dtype=np.float64)
    return bool(alpha.sum() > 0 and alpha[luma > _LIGHT].sum() >= alpha.sum() / 2)
