"""Small copies of pictures inside the page itself."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from melder.data.thumbnails import thumbnail
from melder.evaluation.report.markup import Markup, element

__all__ = ["Album"]

LIMIT = 8_000_000  # characters of pictures in one page: what a phone opens without complaint

Small = tuple[str, int, int]  # a data URI, width and height


class Album:
    """The pictures of one page; each is decoded once, and together they stay below `limit` characters."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._left = limit
        self._made: dict[tuple[Path | bytes, int], Small | None] = {}

    def thumbnail(self, picture: Path | bytes | None, alternative: str, side: int) -> Markup:
        """The picture in at most `side` × `side` pixels as a data URI, or words that say why there is none."""
        if picture is None:
            return _instead("no picture")
        if self._left <= 0:
            return _instead("left out: the page is full")
        if (picture, side) not in self._made:
            self._made[picture, side] = _small(picture, side)
        small = self._made[picture, side]
        if small is None:
            return _instead("unreadable picture")
        source, width, height = small
        self._left -= len(source)
        return element("img", src=source, alt=alternative, width=str(width), height=str(height))


def _small(picture: Path | bytes, side: int) -> Small | None:
    small = thumbnail(picture, side)
    if small is None:
        return None
    return "data:image/jpeg;base64," + b64encode(small.content).decode("ascii"), small.width, small.height


def _instead(words: str) -> Markup:
    return element("span", words, class_="no-picture")
