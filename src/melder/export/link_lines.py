"""Links as JSON Lines, an object a line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from melder.export.annotated_text import LinkedMention

__all__ = ["LinkLines"]


class LinkLines:
    """A file of JSON Lines that is being written."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, linked: Iterable[LinkedMention]) -> None:
        """Add links."""
        self._file.writelines(link.model_dump_json() + "\n" for _, link in linked)

    def finish(self) -> None:
        """Nothing stands behind the last line."""
