"""What the XML of a sheet says beside the values of its cells, read as it is unpacked: merged cells, formulas that have
no value, hidden rows. A reader of values sees the first only as empty cells, and the others not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

__all__ = ["SheetMarkup", "read_markup"]

BLOCK = 1 << 20
_PREFIX = rb"(?:\w+:)?"
_MERGED = re.compile(rb"<" + _PREFIX + rb'mergeCell\s[^>]*?ref="([A-Z]+)(\d+):[A-Z]+(\d+)"')
_UNCOMPUTED = re.compile(
    rb"(?:</" + _PREFIX + rb"f>|<" + _PREFIX + rb"f\b[^>]*/>)\s*"
    rb"(?:<" + _PREFIX + rb"v\s*/>|<" + _PREFIX + rb"v>\s*</" + _PREFIX + rb"v>)?\s*</" + _PREFIX + rb"c>"
)
_HIDDEN = re.compile(rb"<" + _PREFIX + rb'row\b[^>]*\shidden="(?:1|true)"')
_END = re.compile(rb"</" + _PREFIX + rb"row>")


@dataclass
class SheetMarkup:
    """Of one sheet.

    Args:
        merged: The cells that go over several rows: column, counted from 0, first and last row, counted from 1.
        uncomputed: The number of formulas whose value is not in the file.
        hidden: The number of hidden rows.
    """

    merged: list[tuple[int, int, int]] = field(default_factory=list)
    uncomputed: int = 0
    hidden: int = 0


def read_markup(file: IO[bytes]) -> SheetMarkup:
    """What the XML of a sheet says, of which about a megabyte is held at a time, and what stands behind the last row.

    Args:
        file: the XML, at its start

    Returns:
        merged cells, formulas without values, hidden rows
    """
    markup = SheetMarkup()
    for content in _whole_rows(file):
        markup.uncomputed += len(_UNCOMPUTED.findall(content))
        markup.hidden += len(_HIDDEN.findall(content))
        for column, first, last in _MERGED.findall(content):
            if last != first:
                markup.merged.append((_column(column), int(first), int(last)))
    return markup


def _whole_rows(file: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while block := file.read(BLOCK):
        rest += block
        cut = max((end.end() for end in _END.finditer(rest)), default=0)
        yield rest[:cut]
        rest = rest[cut:]
    yield rest


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number - 1
