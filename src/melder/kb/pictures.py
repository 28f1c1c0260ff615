"""Pictures inside a knowledge base: small copies by default, so that it can be shown wherever it is moved to.

`small`: JPEG of at most 224 pixels a side, about 10 kB; an encoder of 224 pixels sees in it what it sees in the
original. `original`: the files as they are. `none`: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Literal

from melder.data.pictures import read_picture
from melder.data.thumbnails import shrunk
from melder.records import Entity

__all__ = ["Keep", "kept_picture", "reasons_of", "write_pictures"]

Keep = Literal["small", "original", "none"]
SIDE = 224  # pixels: what most vision models read
QUALITY = 85  # of the JPEG: no visible loss at this size


def kept_picture(source: Path | bytes, keep: Literal["small", "original"]) -> bytes:
    """The bytes that are stored of a picture.

    Args:
        source: A file, or the bytes of one.
        keep: A small copy, or what there is.

    Returns:
        The bytes of an image file.

    Raises:
        UnreadablePicture: It cannot be decoded.
    """
    if keep == "small":
        return shrunk(source, SIDE, QUALITY).content
    read_picture(source)
    return source if isinstance(source, bytes) else source.read_bytes()


def write_pictures(
    path: Path, pictures: Iterable[tuple[tuple[int, int], bytes]]
) -> dict[tuple[int, int], tuple[int, int]]:
    """Write pictures one after the other.

    Args:
        path: Of the new file.
        pictures: Each with its row and its number there, and its bytes.

    Returns:
        First byte and size by row and number.
    """
    places = {}
    with path.open("wb") as file:
        for key, content in pictures:
            places[key] = (file.tell(), len(content))
            file.write(content)
    return places


def reasons_of(entities: Iterable[Entity], reasons: Mapping[str, str]) -> dict[str, str]:
    """Why pictures of some entities could not be read.

    Args:
        entities: Who name pictures.
        reasons: Of these and others, by the pictures' paths.

    Returns:
        Those of pictures that the entities name.
    """
    named = {PurePath(name).parts for entity in entities for name in entity.images}
    parts = {path: PurePath(path).parts for path in reasons}  # of which a record names the last ones
    return {
        path: reason
        for path, reason in reasons.items()
        if any(parts[path][start:] in named for start in range(len(parts[path])))
    }
