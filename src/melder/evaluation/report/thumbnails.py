"""Small copies of pictures inside the page itself."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from melder.data.thumbnails import thumbnail

__all__ = ["Album", "EmbeddedPicture"]

LIMIT = 8_000_000  # characters of pictures in one page: what a phone opens without complaint


@dataclass(frozen=True)
class EmbeddedPicture:
    """A picture inside a page.

    Args:
        source: A data URI.
        width, height: In pixels.
    """

    source: str
    width: int
    height: int


class Album:
    """The pictures of one page, each of which is decoded once.

    Args:
        limit: Characters that all of them may take together.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._left = limit
        self._made: dict[tuple[Path | bytes, int], EmbeddedPicture | None] = {}

    def thumbnail(self, picture: Path | bytes | None, side: int) -> EmbeddedPicture | str:
        """A small copy of a picture.

        Args:
            picture: A file, or the bytes of one; None where there is no picture.
            side: The most pixels that the copy may be wide or high.

        Returns:
            The copy, or words that say why there is none.
        """
        if picture is None:
            return "no picture"
        if self._left <= 0:
            return "left out: the page is full"
        if (picture, side) not in self._made:
            self._made[picture, side] = _embedded(picture, side)
        embedded = self._made[picture, side]
        if embedded is None:
            return "unreadable picture"
        self._left -= len(embedded.source)
        return embedded


def _embedded(picture: Path | bytes, side: int) -> EmbeddedPicture | None:
    small = thumbnail(picture, side)
    if small is None:
        return None
    source = "data:image/jpeg;base64," + b64encode(small.content).decode("ascii")
    return EmbeddedPicture(source, small.width, small.height)
