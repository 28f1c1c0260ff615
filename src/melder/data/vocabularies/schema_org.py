"""JSON-LD with the terms of schema.org, as web sites publish it: objects that have an id and a name.

The terms are read by their names; no context is fetched. Objects within others count too, where they have an id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from melder.data.picture_names import file_of
from melder.data.tables.options import Notes
from melder.data.vocabularies.imported import Imported, opened
from melder.io.json_text import check_text
from melder.io.problems import Problems
from melder.languages import Languages
from melder.records import Entity

__all__ = ["schema_entities"]

PREFIXES = ("http://schema.org/", "https://schema.org/", "schema:")


def schema_entities(path: Path, languages: Languages, problems: Problems, notes: Notes) -> Iterator[Imported]:
    """The entities of a file that is one JSON value, or one a line; the first object of an id counts.

    Args:
        path: Of the file.
        languages: That names are taken of.
        problems: Takes what is no entity.
        notes: Told what a user should know.

    Yields:
        In the order of the file.
    """
    ids = set[str]()
    for document in _documents(path, problems):
        for value in _objects(document):
            try:
                imported = _imported({_term(key): content for key, content in value.items()}, languages)
            except ValueError as error:
                problems.add(path, 0, [("", f"has an object whose text {error}; it is left out")])
                continue
            if imported is None:
                notes.add("{} [object has|objects have] no id, or no name in these languages, and [is|are] left out")
            elif imported.entity.id in ids:
                notes.add("{} [object has|objects have] the id of an earlier one, and [is|are] left out")
            else:
                ids.add(imported.entity.id)
                yield imported
    if not ids:
        problems.add(path, 0, [("", "holds no object with an id and a name; is it JSON-LD with terms of schema.org?")])


def _documents(path: Path, problems: Problems) -> Iterator[object]:
    with opened(path) as file:
        data = file.read()
    try:
        yield json.loads(data.decode("utf-8-sig"))
        return
    except (ValueError, RecursionError):
        lines = data.splitlines()
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                yield json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            problems.add(path, number, [("", f"is not JSON ({error}); it is left out")])


def _objects(value: object) -> Iterator[dict[str, Any]]:
    """All objects that say what they are, those within others behind them."""
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if "@type" in value:
                yield value
            stack += reversed(list(value.values()))
        elif isinstance(value, list):
            stack += reversed(value)


def _imported(value: dict[str, Any], languages: Languages) -> Imported | None:
    identity = next(iter(_strings(value, "@id", "identifier", "url")), "")
    names = _by_language(value.get("name"))
    name = languages.first({code: texts[0] for code, texts in names.items()})
    if not identity or not name:
        return None
    others = [*languages.every(names), *languages.every(_by_language(value.get("alternateName")))]
    descriptions = _by_language(value.get("description") or value.get("abstract"))
    addresses = tuple(dict.fromkeys(address for address in _strings(value, "image") if file_of(address)))
    entity = Entity(
        id=identity,
        name=name,
        aliases=tuple(dict.fromkeys(other for other in others if other != name)),
        description=languages.first({code: texts[0] for code, texts in descriptions.items()}),
        types=tuple(map(_term, _strings(value, "@type"))),
        images=tuple(map(file_of, addresses)),
        labels=languages.only({code: texts[0] for code, texts in names.items()}),
        descriptions=languages.only({code: texts[0] for code, texts in descriptions.items()}),
    )
    return Imported(entity, addresses)


def _term(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _strings(value: dict[str, Any], *names: str) -> Iterator[str]:
    """The texts of some properties: themselves, or what an object calls its address, value or id."""
    for name in names:
        contents = value.get(name)
        for content in contents if isinstance(contents, list) else [contents]:
            if isinstance(content, dict):
                content = next(
                    (content[key] for key in ("contentUrl", "url", "@value", "value", "@id") if key in content), ""
                )
            if isinstance(content, str | int) and str(content).strip():
                yield check_text(str(content).strip())


def _by_language(contents: object) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for content in contents if isinstance(contents, list) else [contents]:
        text, code = (content.get("@value"), content.get("@language")) if isinstance(content, dict) else (content, "")
        if isinstance(text, str) and text.strip():
            texts.setdefault(str(code or "").lower(), []).append(check_text(text.strip()))
    return texts
