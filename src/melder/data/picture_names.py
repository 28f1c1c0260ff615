"""Which file a picture's name means: the one of this name, or else the only one whose name looks the same.

File systems and programs spell one name in several ways: macOS takes `é` apart, addresses write a space as `%20` or
as an underscore, Windows divides folders with a backslash and does not care for case. Only files below the directory
are ever found.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

__all__ = ["PictureNames", "file_of", "is_address", "leads_out"]


# {identifier}/{region}/{size}/{rotation}/{quality}.{format}
_IIIF = re.compile(
    r"([^/]+)/(?:full|square|(?:pct:)?[\d.]+(?:,[\d.]+){3})/[^/]+/!?[\d.]+/(?:default|color|gray|bitonal|native)\.(\w+)$"
)


def is_address(name: str) -> bool:
    """Whether a picture is named by an address of the web; Melder fetches none of an entity's.

    Args:
        name: As a record has it.

    Returns:
        Whether it is one.
    """
    return name.startswith(("http://", "https://"))


def file_of(address: str) -> str:
    """The name of the file behind an address; "" of what only looks like one, such as http://[.

    All addresses of IIIF end in default.jpg or the like; the file is then called after the picture's identifier.

    Args:
        address: Of the web.

    Returns:
        The name.
    """
    try:
        path = urlsplit(address).path
    except ValueError:
        return ""
    iiif = _IIIF.search(path)
    return unquote(f"{iiif[1]}.{iiif[2]}" if iiif else path.rsplit("/", 1)[-1]).replace("/", "_")


def leads_out(directory: Path, name: str) -> bool:
    """Whether a picture's name, which is that of something below a directory, is that of a link out of it.

    Args:
        directory: That it is to be in.
        name: Relative to it.

    Returns:
        Whether it does.
    """
    return not (directory / name).resolve().is_relative_to(directory.resolve())


class PictureNames:
    """The names of the files below a directory, which are listed when one is first looked for in vain.

    Args:
        directory: Below which they are.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def is_there(self, name: str) -> bool:
        return "\0" not in name and os.path.isfile(self.directory / name)

    def same(self, name: str) -> list[str]:
        """The files, by their names relative to the directory, that look the same as this name, best first.

        Those that differ in case come behind those that do not; of an address its last part is compared.
        """
        wanted = file_of(name) if is_address(name) else name
        spelt = _spelling(wanted)
        return sorted(self._files.get(spelt.casefold(), ()), key=lambda file: (_spelling(file) != spelt, file))

    def alike(self, name: str) -> list[str]:
        """The files that may be meant where none looks the same: in another folder, or with another ending."""
        return self.same(name) or self._by_stem.get(_stem(name.rsplit(":", 1)[-1]), [])

    def located(self, name: str) -> str | None:
        """The name of the file that is meant; None where there is none, or several look equally like it."""
        files = self.same(name)
        spelt = _spelling(file_of(name) if is_address(name) else name)
        exact = [file for file in files if _spelling(file) == spelt]
        return (exact or files)[0] if len(exact or files) == 1 else None

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        stems: dict[str, list[str]] = {}
        for name in sorted(name for names in self._files.values() for name in names):
            stems.setdefault(_stem(name), []).append(name)
        return stems

    @cached_property
    def _files(self) -> dict[str, list[str]]:
        files: dict[str, list[str]] = {}
        for name in _walk(self.directory):
            files.setdefault(_spelling(name).casefold(), []).append(name)
        return files


def _walk(directory: Path) -> Iterator[str]:
    for folder, _, names in os.walk(directory):
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), directory).replace(os.sep, "/")


def _spelling(name: str) -> str:
    """A name as it looks, whatever wrote it."""
    return unicodedata.normalize("NFC", unquote(name).replace("\\", "/").replace("_", " "))


def _stem(name: str) -> str:
    return PurePosixPath(_spelling(name).casefold()).stem
