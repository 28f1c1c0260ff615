"""A table whose columns are fields of records: rows as values by field, every oddity named or noted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from melder.data.tables.header import Header, hints, read_header
from melder.data.tables.language_columns import without_language
from melder.data.tables.options import Notes, TableOptions
from melder.data.tables.rows import Cell, RowSource
from melder.io.counts import in_number
from melder.io.json_text import check_text
from melder.io.problems import Fault, Problems
from melder.records import MelderError

__all__ = ["Table", "Values"]

Values = dict[str, "str | tuple[str, ...]"]

AS_IT_IS = TableOptions()
WIKIDATA_ENTITY = ("http://www.wikidata.org/entity/", "https://www.wikidata.org/entity/")
WIKIDATA_ALIASES = ", "  # between the aliases that the label service of Wikidata puts together


@dataclass(frozen=True)
class Table:
    """What has records as its rows.

    Args:
        source: Where the rows come from.
        fields: That a column may hold; the first is the id.
        lists: Those whose cells hold several values.
        needs_id: Whether there must be a column of ids.
    """

    source: RowSource
    fields: Sequence[str]
    lists: Sequence[str] = ()
    options: TableOptions = AS_IT_IS
    needs_id: bool = True

    def header(self, notes: Notes) -> Header | None:
        """What the columns hold; None of a file without a row."""
        for number, cells in self.source.rows(Problems(), notes):
            if any(map(str.strip, map(str, cells))):
                return self._header(number, cells, notes)
        return None

    def rows(self, problems: Problems, notes: Notes) -> Iterator[tuple[int, Values]]:
        """The values of each row by field, without those of empty cells; bad rows go to `problems`."""
        separators = self._separators(notes)
        header: Header | None = None
        blank = 0
        for number, cells in self.source.rows(problems, notes):
            if not any(map(str.strip, map(str, cells))):
                blank += header is not None
                continue  # a row without anything is none, but a spreadsheet counts it
            if header is None:
                header = self._header(number, cells, notes)
                continue
            if blank:  # those behind the last row are none of the table's
                notes.add("{} empty [row is|rows are] passed over", blank)
                blank = 0
            if faults := _length_faults(header, cells, self.options.lenient):
                problems.add(self.source.name, number, faults, taken=self.options.lenient)
                if not self.options.lenient:
                    continue
            yield number, self._values(header, cells, separators)

    def place(self, row: int) -> str:
        """What messages call a row; a header that is none has the number 0."""
        return f"{self.source.name}, row {row}" if row else self.source.name

    def _header(self, number: int, cells: Sequence[Cell], notes: Notes) -> Header:
        place = self.place(number)
        header = read_header(place, number, cells, self.fields, self.lists, self.options.columns, notes)
        if self.needs_id and self.fields[0] not in header.fields:
            names = ", ".join(name for name in map(str, cells) if name.strip())
            raise MelderError(
                f"{place}: has no column 'id'; name the columns {', '.join(self.fields)} in the first row, or say "
                f"which is which with --column id=HEADER (the headers are {names}{self._hinted(header)})"
            )
        return header

    def _hinted(self, header: Header) -> str:
        hinted = hints(header.names, header.fields, self.fields)
        return f"; {hinted}" if hinted else ""

    def _values(self, header: Header, cells: Sequence[Cell], separators: dict[str, str]) -> Values:
        values: Values = {}
        for field, cell in zip(header.columns, cells, strict=False):
            if field is None:
                continue
            if (several := without_language(field)) in self.lists:
                earlier = values.get(field, ())
                values[field] = (*earlier, *_several(cell, separators[several]))
            elif text := (" ".join(cell) if isinstance(cell, tuple) else cell).strip():
                values[field] = _bare_id(text) if header.wikidata and field == "id" else text
        return values

    def _separators(self, notes: Notes) -> dict[str, str]:
        """What stands between the values of a cell, for each list field: what the user says, `|` where it occurs in
        the column, else `;`; Wikidata's aliases have a comma."""
        own = self.options.list_separator
        if own is not None or not self.lists:
            return dict.fromkeys(self.lists, own or "|")
        header, signs_in, lists = None, {field: set[str]() for field in self.lists}, dict.fromkeys(self.lists, 0)
        for number, cells in self.source.rows(Problems(), Notes()):
            if header is None:
                header = self._header(number, cells, Notes()) if any(map(str.strip, map(str, cells))) else None
                continue
            for field, cell in zip(header.columns, cells, strict=False):
                several = without_language(field or "")
                if several in signs_in and isinstance(cell, str):
                    signs_in[several].update(sign for sign in "|;" if sign in cell)
                    lists[several] += _json_list(cell) is not None
        wikidata = header is not None and header.wikidata
        for field, signs in signs_in.items():
            if lists[field]:
                notes.add(
                    in_number(f"{{}} [cell of {field} is a list|cells of {field} are lists] in JSON", lists[field])
                )
            if signs == {";"} and not wikidata:
                notes.add(f"';' divides the values in cells of {field} (--list-separator says otherwise)")
        separators = {field: ";" if signs == {";"} else "|" for field, signs in signs_in.items()}
        return separators | ({"aliases": WIKIDATA_ALIASES, "types": "\n", "images": "\n"} if wikidata else {})


def _several(cell: Cell, separator: str) -> tuple[str, ...]:
    if isinstance(cell, tuple):
        return cell
    values = _json_list(cell)
    pieces = cell.split(separator) if values is None else values
    return tuple(piece.strip() for piece in pieces if piece.strip())


def _json_list(cell: str) -> list[str] | None:
    """The texts of a cell that is a list in JSON, as programs write lists into tables; None of another cell."""
    stripped = cell.strip()
    if not (stripped.startswith("[") and stripped.endswith("]")):
        return None
    try:
        return list(map(check_text, json.loads(stripped)))
    except (ValueError, TypeError, RecursionError):
        return None


def _bare_id(text: str) -> str:
    for prefix in WIKIDATA_ENTITY:
        text = text.removeprefix(prefix)
    return text


def _length_faults(header: Header, cells: Sequence[Cell], lenient: bool) -> list[Fault]:
    width = len(header.columns)
    if any(str(cell).strip() for cell in cells[width:]):
        rest = "what is too much is left out" if lenient else "put texts with the delimiter in them into quotes"
        return [("", f"has more cells than the header; {rest}")]
    if len(cells) < width:
        rest = "those that are missing count as empty" if lenient else "add the empty ones"
        return [("", f"has fewer cells than the header; {rest}")]
    return []
