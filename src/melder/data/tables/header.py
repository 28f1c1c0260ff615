"""Which column of a table holds which field: by name, in any case, as the user says, or as Wikidata writes it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from melder.data.tables.cells import Cell
from melder.data.tables.language_columns import field_in_language, without_language
from melder.data.tables.options import Notes
from melder.names import folded
from melder.records import MelderError

__all__ = ["Header", "hints", "read_header"]

# What other programs call a field, for hints only.
OTHER_NAMES = {
    "id": ("identifier", "key", "uri", "url", "qid", "code", "item", "nr", "no", "number", "nummer"),
    "name": ("label", "title", "preflabel", "term", "bezeichnung", "titel", "nom", "nombre", "titre"),
    "aliases": ("alias", "synonym", "synonyms", "altlabel", "other names"),
    "description": ("abstract", "summary", "definition", "comment", "note", "notes", "text", "beschreibung"),
    "types": ("type", "class", "category", "kind", "instance of"),
    "images": ("image", "picture", "pictures", "photo", "file", "filename", "img", "thumbnail", "bild", "foto"),
    "surface": ("mention", "name", "term"),
    "text": ("context", "sentence", "caption", "legend", "bildunterschrift", "légende"),
    "image": ("images", "picture", "photo", "file", "filename", "img", "datei", "bild", "foto", "fichier"),
}
# What variables of SPARQL queries for Wikidata are usually called.
WIKIDATA_TYPES = ("type", "class", "kind", "instance", "instanceof")
_WORDS = re.compile(r"\w+")
WIKIDATA_IMAGES = ("image", "images", "pic", "picture", "img", "photo", "p18")


@dataclass(frozen=True)
class Header:
    """The columns of a table.

    Args:
        columns: The field of each column, None for one that is left out.
        wikidata: It is the result of a query to Wikidata, where a label or a picture more is a row more.
        row: The number of the row that it is.
        names: What the columns are called.
        copies: Fields that have what another field has, and that field.
    """

    columns: tuple[str | None, ...]
    wikidata: bool = False
    row: int = 1
    names: tuple[str, ...] = ()
    copies: tuple[tuple[str, str], ...] = ()

    @property
    def fields(self) -> frozenset[str]:
        """What the columns hold, in whichever language."""
        copied = (field for field, _ in self.copies)
        return frozenset(without_language(field) for field in (*self.columns, *copied) if field)


def read_header(
    place: str,
    row: int,
    cells: Sequence[Cell],
    fields: Sequence[str],
    lists: Sequence[str],
    columns: Sequence[tuple[str, str]],
    notes: Notes,
) -> Header:
    """What each column holds.

    Args:
        place: the file and row, for messages
        row: the number of the row
        cells: the header
        fields: that there are; the first is the id
        lists: those that may have several columns
        columns: (field, header) pairs, as the user says
        notes: told of columns that are left out, and of Wikidata's

    Returns:
        The columns that are read.

    Raises:
        MelderError: a field is named twice, or a column that the user names is not there
    """
    names = [" ".join(str(cell).split()) for cell in cells]
    while names and not names[-1]:
        names.pop()
    field_of, copies = _mapped(place, names, fields, columns)
    mapped = {field for field, _ in columns}
    wikidata = not mapped and fields[0] not in map(folded, names) and _wikidata(names)
    field_of = dict(wikidata) if wikidata else field_of
    in_use = set(field_of.values())
    for number, name in enumerate(names):
        field = field_in_language(folded(name), fields)
        if number not in field_of and field is not None and field not in mapped and not wikidata:
            if field in in_use and without_language(field) not in lists:
                raise MelderError(f"{place}: names a column twice, {name!r}; give each its own name")
            field_of[number] = field
            in_use.add(field)
    _check_twice(place, field_of, lists, names)
    fields_of = tuple(field_of.get(number) for number in range(len(names)))
    header = Header(fields_of, bool(wikidata), row, tuple(filter(None, names)), copies)
    _note(header, names, fields, notes)
    return header


def _mapped(
    place: str, names: Sequence[str], fields: Sequence[str], columns: Sequence[tuple[str, str]]
) -> tuple[dict[int, str], tuple[tuple[str, str], ...]]:
    """The fields that the user gives to columns, and those that have the column of an earlier one."""
    field_of, copies = dict[int, str](), list[tuple[str, str]]()
    for field, wanted in columns:
        if field_in_language(field, fields) is None:
            raise MelderError(f"--column {field}={wanted}: there is no field {field!r}; use {', '.join(fields)}")
        places = [number for number, name in enumerate(names) if name == wanted] or [
            number for number, name in enumerate(names) if folded(name) == folded(wanted)
        ]
        if not places:
            raise MelderError(f"{place}: has no column {wanted!r}; its columns are {', '.join(filter(None, names))}")
        known = str(field_in_language(field, fields))
        if field_of.setdefault(places[0], known) != known:
            copies.append((known, field_of[places[0]]))
    return field_of, tuple(copies)


def _wikidata(names: Sequence[str]) -> Mapping[int, str]:
    """The columns of a query's result: `item`, else the first variable that has a label is the entity; empty when it
    is none."""
    places = {name: number for number, name in enumerate(names)}
    item = next((name for name in ("item", *names) if {name, f"{name}Label"} <= places.keys()), None)
    if item is None:
        return {}
    field_of = {places[item]: "id", places[f"{item}Label"]: "name"}
    for ending, field in (("Description", "description"), ("AltLabel", "aliases")):
        if item + ending in places:
            field_of[places[item + ending]] = field
    for name, number in places.items():
        if name.lower().removesuffix("label") in WIKIDATA_TYPES and (
            name.endswith("Label") or f"{name}Label" not in places
        ):
            field_of[number] = "types"
        if name.lower() in WIKIDATA_IMAGES:
            field_of[number] = "images"
    return field_of


def _check_twice(place: str, field_of: Mapping[int, str], lists: Sequence[str], names: Sequence[str]) -> None:
    single = [field for field in field_of.values() if without_language(field) not in lists]
    if twice := next((field for field in single if single.count(field) > 1), None):
        raise MelderError(f"{place}: gives {twice!r} two columns; name the one that holds it with --column {twice}=…")


def _note(header: Header, names: Sequence[str], fields: Sequence[str], notes: Notes) -> None:
    read = [f"{field} = {name}" for field, name in zip(header.columns, names, strict=True) if field]
    if header.wikidata:
        notes.add(f"the columns are those of a query to Wikidata: {', '.join(read)}")
    elif any(field != name for field, name in zip(header.columns, names, strict=True) if field):
        notes.add(f"columns: {', '.join(read)}")
    left = [name or "one without a header" for field, name in zip(header.columns, names, strict=True) if not field]
    if left:
        hinted = hints(left, header.fields, fields)
        notes.add(f"columns that are left out: {', '.join(left)}" + (f" ({hinted})" if hinted else ""))


def hints(names: Sequence[str], in_use: frozenset[str], fields: Sequence[str]) -> str:
    """What these columns may hold of the fields that no other column holds.

    Args:
        names: Of the columns.
        in_use: Fields that other columns hold.
        fields: All that there are.

    Returns:
        A sentence; empty where there is nothing to say.
    """
    return "; ".join(hint for name in names if (hint := _hint(name, in_use, fields)))


def _hint(name: str, in_use: frozenset[str], fields: Sequence[str]) -> str:
    others = ((field, others) for field, others in OTHER_NAMES.items() if field in fields and field not in in_use)
    plain = " ".join(_WORDS.findall(folded(name.partition("(")[0])))  # of `ID *` and `Name (required)`
    field = next((field for field, names in others if plain in (field, *names)), None)
    return f"is {name} the {field}? then --column {shlex.quote(f'{field}={name}')}" if field else ""
