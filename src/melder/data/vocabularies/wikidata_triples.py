"""Truthy dumps of Wikidata (`latest-truthy.nt.bz2`): N-Triples, those of an entity one after the other.

Each entity becomes a line of JSON as the other dumps have it, with what Melder reads: labels, descriptions, aliases,
and the best statements of some properties. Triples about pages and sitelinks, which stand between, are passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

__all__ = ["entity_lines", "is_triples"]

ENTITY = b"<http://www.wikidata.org/entity/"
DIRECT = "http://www.wikidata.org/prop/direct/"
PROPERTIES = ("P31", "P279", "P18")
TEXTS = {
    "http://www.w3.org/2000/01/rdf-schema#label": "labels",
    "http://schema.org/description": "descriptions",
    "http://www.w3.org/2004/02/skos/core#altLabel": "aliases",
}
TRIPLE = re.compile(r'<([^>]*)>\s+<([^>]*)>\s+(?:<([^>]*)>|"((?:[^"\\]|\\.)*)"(?:@([A-Za-z0-9-]+))?)')
ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f"}


def is_triples(path: Path) -> bool:
    """Whether a file is in N-Triples, packed or not, by its name.

    Args:
        path: Of the file.

    Returns:
        Whether it is.
    """
    return ".nt" in (suffix.lower() for suffix in path.suffixes)


def entity_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each entity as a line of JSON, with the number of its first triple; lines that are no triple are passed over.

    Args:
        lines: Of N-Triples, one entity after the other.

    Yields:
        From 1 on.
    """
    entity: dict[str, Any] = {}
    first, subject = 0, ""
    for number, line in enumerate(lines, 1):
        triple = TRIPLE.match(line.decode(errors="replace")) if line.startswith(ENTITY) else None
        if triple is None:
            continue
        if triple[1] != subject:
            if subject:
                yield first, _line(entity)
            subject, first = triple[1], number
            entity = {"id": subject.rpartition("/")[2], "labels": {}, "descriptions": {}, "aliases": {}, "claims": {}}
        _add(entity, triple)
    if subject:
        yield first, _line(entity)


def _add(entity: dict[str, Any], triple: re.Match[str]) -> None:
    _, predicate, address, literal, tag = triple.groups()
    kind, name = TEXTS.get(predicate), predicate.removeprefix(DIRECT)
    if kind is not None and literal is not None and tag:
        term, code = {"value": _unescaped(literal)}, tag.lower()
        if kind == "aliases":
            entity[kind].setdefault(code, []).append(term)
        else:
            entity[kind].setdefault(code, term)
    elif name in PROPERTIES and address is not None:
        last = unquote(address.rpartition("/")[2])
        value: object = last if name == "P18" else {"id": last}
        entity["claims"].setdefault(name, []).append({"mainsnak": {"datavalue": {"value": value}}})


def _line(entity: dict[str, Any]) -> bytes:
    return json.dumps(entity, ensure_ascii=False, separators=(",", ":")).encode()


def _unescaped(literal: str) -> str:
    return ESCAPE.sub(_character, literal) if "\\" in literal else literal


def _character(escape: re.Match[str]) -> str:
    short, long, other = escape.groups()
    if other is not None:
        return ESCAPED.get(other, other)
    code = int(short or long, 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
