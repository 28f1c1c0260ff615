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
    """The picture in at most `side` × `side` pixels; None when it cannot be read."""
    try:
        return shrunk(picture, side)
    except UnreadablePicture:
        return None


def shrunk(picture: Path | bytes, side: int, quality: int = QUALITY) -> Thumbnail:
    """The picture in at most `side` × `side` pixels. Raises UnreadablePicture."""
    small = read_picture(picture, needed=side)
    small.thumbnail((side, side), Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=quality)
    return Thumbnail(file.getvalue(), small.width, small.height)
