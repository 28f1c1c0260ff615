"""Small copies of entities' pictures, for pages."""

from __future__ import annotations

import io
from pathlib import Path

from PIL.Image import Resampling

from melder.data.pictures import UnreadablePicture, read_picture

__all__ = ["thumbnail"]

SIDE = 320  # pixels: sharp on a phone, whose screen has two or three for each of a page
QUALITY = 82  # of the JPEG: no visible loss at this size, about 10 kB


def thumbnail(picture: Path | bytes | None) -> bytes | None:
    """A JPEG of at most `SIDE` pixels a side; None when there is no picture, or it cannot be read."""
    if picture is None:
        return None
    try:
        small = read_picture(picture)
    except UnreadablePicture:
        return None
    small.thumbnail((SIDE, SIDE), Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
