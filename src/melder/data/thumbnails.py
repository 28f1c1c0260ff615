"""Small copies of pictures, for pages."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

from PIL.Image import Resampling

from melder.data.pictures import UnreadablePicture, read_picture

__all__ = ["Thumbnail", "shrunk", "thumbnail"]

QUALITY = 82  # of the JPEG: no visible loss at this size, about 10 kB for a side of 320


class Thumbnail(NamedTuple):
    """A JPEG, and how large it is in pixels."""

    content: bytes
    width: int
    height: int


def thumbnail(picture: Path | bytes, side: int) -> Thumbnail | None:
    """A small copy of a picture.

    Args:
        picture: A file, or its bytes.
        side: Of the copy at most, in pixels.

    Returns:
        None when it cannot be read.
    """
    try:
        return shrunk(picture, side)
    except UnreadablePicture:
        return None


def shrunk(picture: Path | bytes, side: int, quality: int = QUALITY) -> Thumbnail:
    """A small copy of a picture.

    Args:
        picture: A file, or its bytes.
        side: Of the copy at most, in pixels.
        quality: Of the JPEG, up to 100.

    Returns:
        A JPEG.

    Raises:
        UnreadablePicture: It cannot be decoded.
    """
    small = read_picture(picture, needed=side)
    small.thumbnail((side, side), Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=quality)
    return Thumbnail(file.getvalue(), small.width, small.height)
