"""Changes of an input that keep it nearly right: JSON is edited as a value, anything by words that readers look for."""

from __future__ import annotations

import json
from random import Random
from typing import Any

__all__ = ["mutated"]

VALUES: list[Any] = [
    *(None, True, 0, -1, 1.5, 2**63, 10**400, float("nan"), float("inf"), "", " ", "\0", "\ud800", "x" * 300),
    *("Q1", "..", "/x", "http://[", "http://x/%ff", "en", "de-x", [], {}, [[]], [None], {"": ""}, {"value": 5}),
    *({"id": 5}, {"en": 5}, {"en": {"value": None}}, {"@value": 5, "@language": 5}, {"@language": "\0", "@value": "x"}),
]
WORDS = [
    *(
        b'"',
        b"\\",
        b"\n",
        b"\r",
        b"\t",
        b",",
        b";",
        b"|",
        b"<",
        b">",
        b"@",
        b"^^",
        b"_:",
        b"[]",
        b"()",
        b"\x00",
        b"\xff",
    ),
    *(
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\\ud800",
        b"\\uD800\\uDC00",
        b"\\U00110000",
        b"\xf0\x9f\x8f\x8f",
    ),
    *(
        b"1e999",
        b"9" * 40,
        b"-1",
        b"http://[",
        b"%00",
        b"%ff",
        b"@de-x-y",
        b"xml:lang",
        b"&amp;",
        b"<!--",
        b"<![CDATA[",
    ),
]


def mutated(content: bytes, seed: int) -> bytes:
    """An input with one to four things in it changed."""
    draw = Random(seed)
    for _ in range(draw.randint(1, 4)):
        edited = _edited_json(content, draw) if draw.random() < 0.7 else None
        content = _edited_bytes(content, draw) if edited is None else edited
    return content


def _edited_json(content: bytes, draw: Random) -> bytes | None:
    """A change of a value in JSON, or in one line of JSON Lines; None where it is none."""
    lines = [content] if _parsed(content) is not None else content.split(b"\n")
    places = [place for place, line in enumerate(lines) if isinstance(_parsed(line.rstrip(b",")), (dict, list))]
    if not places:
        return None
    place = draw.choice(places)
    comma = b"," if lines[place].endswith(b",") else b""
    value = _edited(_parsed(lines[place].rstrip(b",")), draw)
    lines[place] = json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode() + comma
    return b"\n".join(lines)


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _edited(value: Any, draw: Random) -> Any:
    if not isinstance(value, (dict, list)) or not value or draw.random() < 0.1:
        return draw.choice(VALUES)
    place = draw.choice(list(value) if isinstance(value, dict) else range(len(value)))
    chance = draw.random()
    if chance < 0.1:
        del value[place]
    elif chance < 0.2 and isinstance(value, list):
        value.append(value[place])
    elif chance < 0.3 and isinstance(value, dict):
        value[draw.choice(["", "en", "de-x", "\ud800", "@context", "id"])] = value.pop(place)
    else:
        value[place] = _edited(value[place], draw)
    return value


def _edited_bytes(content: bytes, draw: Random) -> bytes:
    start = draw.randint(0, len(content))
    stop = min(len(content), start + draw.choice([0, 0, 1, 2, 8, 40]))
    new = draw.choice([b"", draw.choice(WORDS), 2 * content[start:stop], bytes([draw.randrange(256)])])
    return content[:start] + new + content[stop:]
