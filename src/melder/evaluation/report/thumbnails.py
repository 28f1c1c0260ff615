"""Small copies of pictures inside the page itself."""

from __future__ import annotations

import io
from base64 import b64encode
from pathlib import Path

from PIL.Image import Resampling

from melder.data.pictures import UnreadablePicture, read_picture
from melder.evaluation.report.markup import Markup, element

__all__ = ["thumbnail"]

QUALITY = 82  # of the JPEG: no visible loss at this size, about 10 kB for a side of 320


def thumbnail(picture: Path | bytes | None, alternative: str, side: int) -> Markup:
    """The picture in at most `side` × `side` pixels as a data URI, or words that say why there is none."""
    if picture is None:
        return element("span", "no picture", class_="no-picture")
    try:
        small = read_picture(picture)
    except UnreadablePicture:
        return element("span", "unreadable picture", class_="no-picture")
    small.thumbnail((side, side), Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=QUALITY)
    source = "data:image/jpeg;base64," + b64encode(file.getvalue()).decode("ascii")
    return element("img", src=source, alt=alternative, width=str(small.width), height=str(small.height))
