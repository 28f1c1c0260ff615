"""Lists of the titles of a wiki (`…-all-titles-in-ns0.gz`): a title a line, with underscores for spaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from melder.data.tables.options import Notes
from melder.data.vocabularies.imported import Imported, opened
from melder.io.problems import Problems
from melder.records import Entity

__all__ = ["title_entities"]

HEADER = b"page_title"


def title_entities(path: Path, problems: Problems, notes: Notes) -> Iterator[Imported]:
    """An entity a title: the title is its id, and its name without what stands in brackets behind it, which tells
    namesakes apart and becomes the description.

    Args:
        path: Of a list of titles.
        problems: Takes lines that are none.
        notes: Told what a user should know.

    Yields:
        In the order of the file.
    """
    notes.add("redirects cannot be told from pages in a list of titles, and are entities too", 0)
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            stripped = line.rstrip(b"\r\n")
            if not stripped or (number == 1 and stripped == HEADER):
                continue
            try:
                title = stripped.decode().replace("_", " ").strip()
            except UnicodeDecodeError:
                problems.add(path, number, [("", "is not UTF-8; it is left out")])
                continue
            if title:
                yield Imported(_entity(title))


def _entity(title: str) -> Entity:
    name, bracket, rest = title.rpartition(" (")
    if not bracket or not rest.endswith(")") or not name:
        return Entity(id=title, name=title)
    return Entity(id=title, name=name, aliases=(title,), description=rest[:-1])
