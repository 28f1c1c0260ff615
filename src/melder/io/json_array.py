"""Reads a file that is one JSON array, or one value behind the other, as far as it can be read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from melder.io.problems import Problems, read_bytes

__all__ = ["parse_array", "parse_values", "read_array"]

_OPENING = re.compile(r"\s*\[\s*")
_SPACE = re.compile(r"\s*")
_COMMA = re.compile(r"\s*,\s*")
_UNDECODED = re.compile("[\udc80-\udcff]")


def read_array(path: Path, problems: Problems) -> Iterator[tuple[int, object]]:
    """`parse_array` of a file."""
    return parse_array(read_bytes(path), path, problems)


def parse_array(data: bytes, path: Path | str, problems: Problems) -> Iterator[tuple[int, object]]:
    """The elements with their numbers, counted from 1; after a syntax error, those that come before it.

    `path` is the name for messages. Bytes that are not UTF-8 become lone surrogates, so that each record that holds one
    can be named. A file of white space holds nothing.
    """
    text = data.decode("utf-8", errors="surrogateescape")
    if not text.strip():
        return
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        yield from _before_the_error(text, error, path, problems)
        return
    if not isinstance(values, list):
        problems.add(path, 0, [("", "is not a JSON array; put the records in [ … ]")])
        return
    yield from enumerate(values, 1)


def parse_values(data: bytes, path: Path | str, problems: Problems) -> Iterator[tuple[int, object]]:
    """JSON values behind each other, over as many lines as they take (jq writes them so), with their numbers, counted
    from 1; after a syntax error, those that come before it."""
    text = data.decode("utf-8", errors="surrogateescape")
    decoder, number = json.JSONDecoder(), 0
    end = _end(_SPACE.match(text))
    while end < len(text):
        number += 1
        try:
            value, end = decoder.raw_decode(text, end)
        except (ValueError, RecursionError) as error:
            problems.add(path, number, [("", _unreadable(text, error))])
            return
        yield number, value
        end = _end(_SPACE.match(text, end))


def _end(space: re.Match[str] | None) -> int:
    return space.end() if space else 0


def _before_the_error(
    text: str, error: Exception, path: Path | str, problems: Problems
) -> Iterator[tuple[int, object]]:
    decoder, number = json.JSONDecoder(), 0
    gap = _OPENING.match(text)
    while gap:
        number += 1
        try:
            value, end = decoder.raw_decode(text, gap.end())
        except (ValueError, RecursionError):
            break
        yield number, value
        gap = _COMMA.match(text, end)
    problems.add(path, number, [("", _unreadable(text, error))])


def _unreadable(text: str, error: Exception) -> str:
    encoding = "not UTF-8, or " if _UNDECODED.search(text) else ""
    return f"is {encoding}not JSON ({error}); nothing from here on can be read: mend the file"
