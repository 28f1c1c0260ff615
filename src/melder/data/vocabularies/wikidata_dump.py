"""Dumps of Wikidata (and of other Wikibases) in JSON: an entity a line, within [ … ] or not, packed or not; or truthy
dumps in N-Triples, whose entities are put together again (wikidata_triples.py).

One entity is held at a time. Which entities are taken is looked for in the bytes of a line before it is parsed, since
parsing takes most of the time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melder.data.tables.options import Notes
from melder.data.vocabularies.imported import Imported, commons_address, opened
from melder.data.vocabularies.wikidata_triples import entity_lines, is_triples
from melder.io.json_text import check_text
from melder.io.problems import Problems
from melder.languages import Languages
from melder.records import Entity

__all__ = ["WikidataDump"]

SEARCHED = 16  # classes that are looked for in the bytes of a line; of more, parsing it takes less
INSTANCE_OF, SUBCLASS_OF, IMAGE = "P31", "P279", "P18"


@dataclass(frozen=True)
class WikidataDump:
    """A dump, and which of its entities are wanted.

    Args:
        classes: Instances and direct subclasses of these; none = of any. `subclasses` finds those further down.
        ids: These entities; none = any.
    """

    path: Path
    languages: Languages
    classes: Collection[str] = ()
    ids: Collection[str] = ()

    def entities(self, problems: Problems, notes: Notes) -> Iterator[Imported]:
        """The wanted entities in the order of the file, their types as ids; what is no entity goes to `problems`."""
        for number, line in self._lines():
            if not self._may_be_wanted(line):
                notes.add("{} [entity is|entities are] not among those asked for")
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                problems.add(self.path, number, [("", f"is not JSON ({error}); it is left out")])
                continue
            try:
                yield from self._imported(value, notes)
            except (KeyError, TypeError, AttributeError, ValueError):  # of an object that is put together otherwise
                problems.add(self.path, number, [("", "is no entity of a Wikibase; it is left out")])

    def subclasses(self) -> frozenset[str]:
        """The classes and all classes below them (P279), however far down; the file is read through for them."""
        above: dict[str, list[str]] = {}
        for _, line in self._lines():
            if b'"P279"' in line:
                with suppress(ValueError, KeyError, TypeError, AttributeError):  # named when it is read as an entity
                    value = json.loads(line)
                    for parent in _values(_object(value.get("claims")), SUBCLASS_OF):
                        above.setdefault(parent, []).append(value["id"])
        reached, waiting = set(self.classes), list(self.classes)
        while waiting:
            new = {*above.get(waiting.pop(), ())} - reached
            reached |= new
            waiting += new
        return frozenset(reached)

    def labels(self, wanted: Collection[str]) -> dict[str, str]:
        """The labels of some entities; the file is read through for them."""
        labels: dict[str, str] = {}
        for _, line in self._lines():
            if len(labels) < len(wanted) and _id_in(line) in wanted:
                with suppress(ValueError, KeyError, TypeError, AttributeError):  # named when it was read as an entity
                    value = json.loads(line)
                    labels[value["id"]] = self.languages.first(_texts(value.get("labels")))
        return {identity: label for identity, label in labels.items() if label}

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with opened(self.path) as file:
            if is_triples(self.path):
                yield from entity_lines(file)
                return
            for number, line in enumerate(file, 1):
                stripped = line.strip().removesuffix(b",")
                if stripped and stripped not in (b"[", b"]"):
                    yield number, stripped

    def _may_be_wanted(self, line: bytes) -> bool:
        if self.ids and (identity := _id_in(line)) and identity not in self.ids:
            return False
        if not self.classes or len(self.classes) > SEARCHED:
            return True
        return any(f'"{name}"'.encode() in line for name in self.classes)

    def _imported(self, value: dict[str, Any], notes: Notes) -> Iterator[Imported]:
        identity, claims, labels = check_text(value["id"]), _object(value.get("claims")), _texts(value.get("labels"))
        kinds, above = _values(claims, INSTANCE_OF), _values(claims, SUBCLASS_OF)
        if (self.ids and identity not in self.ids) or (self.classes and not {*kinds, *above} & {*self.classes}):
            notes.add("{} [entity is|entities are] not among those asked for")
        elif value.get("type", "item") != "item":
            notes.add("{} [property or lexeme is|properties and lexemes are] left out")
        elif not (name := self.languages.first(labels)):
            notes.add("{} [entity|entities] without a label in these languages [is|are] left out")
        else:
            images = tuple(image.replace(" ", "_") for image in _values(claims, IMAGE))
            descriptions = _texts(value.get("descriptions"))
            entity = Entity(
                id=identity,
                name=name,
                aliases=tuple(other for other in self._names(value, labels) if other != name),
                description=self.languages.first(descriptions),
                types=tuple(kinds),
                images=images,
                labels=self.languages.only(labels),
                descriptions=self.languages.only(descriptions),
            )
            yield Imported(entity, tuple(map(commons_address, images)))

    def _names(self, value: dict[str, Any], labels: dict[str, str]) -> Iterable[str]:
        """Labels and aliases in the languages that are wanted, each once."""
        aliases = {
            code: [check_text(term["value"]) for term in terms] for code, terms in _object(value.get("aliases")).items()
        }
        every = [
            *self.languages.every({code: [label] for code, label in labels.items()}),
            *self.languages.every(aliases),
        ]
        return dict.fromkeys(every)


def _id_in(line: bytes) -> str:
    """The id that a line of a dump begins with; "" where it stands elsewhere."""
    _, mark, rest = line[:100].partition(b'"id":"')
    return rest.partition(b'"')[0].decode(errors="replace") if mark else ""


def _object(value: object) -> dict[str, Any]:
    """The object; what is empty is a list in what PHP writes."""
    return value if isinstance(value, dict) else {}


def _texts(terms: object) -> dict[str, str]:
    """Texts by language."""
    return {code: check_text(term["value"]) for code, term in _object(terms).items()}


def _values(claims: dict[str, Any], name: str) -> list[str]:
    """The ids or texts of a property: the preferred ones where there are any, never deprecated ones."""
    statements = [statement for statement in claims.get(name, ()) if statement.get("rank") != "deprecated"]
    preferred = [statement for statement in statements if statement.get("rank") == "preferred"]
    return list(dict.fromkeys(_snak_values(preferred or statements)))


def _snak_values(statements: Iterable[dict[str, Any]]) -> Iterator[str]:
    for statement in statements:
        value = statement.get("mainsnak", {}).get("datavalue", {}).get("value")
        if isinstance(value, dict) and "id" in value:
            yield check_text(value["id"])
        elif isinstance(value, str):
            yield check_text(value)
