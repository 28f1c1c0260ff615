"""How much JSON is taken: looked at before it is parsed, since a parsed value takes up to a hundred times its bytes.

It is looked at in pieces: `re` lets no other thread run while it looks, and remembers where each repetition that it
might take back began.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from melder.serving.errors import ApiError
from melder.serving.settings import ServiceSettings

__all__ = ["check_json"]

BEGIN = re.compile(rb'["\[{,]')  # of a string, or what begins another value
STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
ADDRESS = re.compile(rb'(?:data:[^,"]{0,200},)?')
PICTURE = re.compile(rb"[A-Za-z0-9+/=]*+(?:\\[nrt/][A-Za-z0-9+/=]*+)*+")
SHORT = 4096  # bytes of a string that counts in full, whatever it may be
PIECE = 65_536  # bytes: looked at in a millisecond


def check_json(content: bytes, settings: ServiceSettings) -> None:
    """Raises `ApiError` (413) for JSON of too many values, or of too many bytes apart from pictures in base64."""
    spared = 0
    for values, (start, end) in enumerate(_values(content), start=1):
        if values > settings.json_values:
            raise ApiError(413, f"the JSON has more than {settings.json_values:,} values; send less at once")
        if end - start > SHORT and _is_picture(content, start, end):
            spared += end - start
        _check_bytes(end - spared, settings)
    _check_bytes(len(content) - spared, settings)


def _check_bytes(size: int, settings: ServiceSettings) -> None:
    if size > settings.json_bytes:
        raise ApiError(413, f"the JSON has more than {settings.json_bytes:,} bytes besides pictures; send less at once")


def _values(content: bytes) -> Iterator[tuple[int, int]]:
    """Where each string begins, behind its quote, and ends; of a list, an object or a comma nothing but its place."""
    place = 0
    while place < len(content):
        begin = BEGIN.search(content, place, place + PIECE)
        if begin is None:
            place += PIECE
            continue
        start = place = begin.end()
        end = _end(STRING, content, start) if begin[0] == b'"' else start
        yield start, end
        place = end + (begin[0] == b'"')


def _is_picture(content: bytes, start: int, end: int) -> bool:
    address = ADDRESS.match(content, start, end)
    assert address is not None  # it may be empty
    return _end(PICTURE, content, address.end()) == end


def _end(pattern: re.Pattern[bytes], content: bytes, start: int) -> int:
    """How far a pattern of repetitions, which may be none, goes on from a place."""
    while (piece := pattern.match(content, start, start + PIECE)) is not None and piece.end() > start:
        start = piece.end()
    return start
