"""A table whose columns are fields of records: rows as values by field, every oddity named or noted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from melder.data.tables.absent_words import present
from melder.data.tables.cells import Cell, Row, RowSource, is_blank
from melder.data.tables.header import Header, hints, read_header
from melder.data.tables.language_columns import without_language
from melder.data.tables.list_cells import separators_of, values_of
from melder.data.tables.options import Notes, TableOptions
from melder.io.problems import Fault, Problems
from melder.records import MelderError

__all__ = ["Table", "Values"]

Values = dict[str, "str | tuple[str, ...]"]

AS_IT_IS = TableOptions()
WIKIDATA_ENTITY = ("http://www.wikidata.org/entity/", "https://www.wikidata.org/entity/")
HEADER_ROWS = 20  # that are looked through for the header: above it spreadsheets have titles, dates and remarks


@dataclass(frozen=True)
class Table:
    """What has records as its rows.

    Args:
        source: Where the rows come from.
        fields: That a column may hold; the first is the id.
        needs: What a header has, of each tuple at least one field.
        lists: The fields whose cells hold several values.
        options: What the user says of it.
    """

    source: RowSource
    fields: Sequence[str]
    needs: Sequence[tuple[str, ...]]
    lists: Sequence[str] = ()
    options: TableOptions = AS_IT_IS

    def header(self, notes: Notes) -> Header | None:
        """What the columns hold; None of a file without a row."""
        return self._start(self.source.rows(Problems(), notes), notes)[0]

    def rows(self, problems: Problems, notes: Notes) -> Iterator[tuple[int, Values]]:
        """The values of each row by field, without those of empty cells; bad rows go to `problems`."""
        separators = self._separators(notes)
        header, rows = self._start(self.source.rows(problems, notes), notes)
        if header is None:
            return
        blank = 0
        for number, cells in rows:
            if is_blank(cells):
                blank += 1  # a row without anything is none, but a spreadsheet counts it
                continue
            if blank:  # those behind the last row are none of the table's
                notes.add("{} empty [row is|rows are] passed over", blank)
                blank = 0
            if _named(cells) == header.names:
                notes.add("{} [row|rows] with the header once more [is|are] passed over")
                continue
            if faults := _length_faults(header, cells, self.options.lenient):
                problems.add(self.source.name, number, faults, taken=self.options.lenient)
                if not self.options.lenient:
                    continue
            yield number, self._values(header, cells, separators, notes)

    def place(self, row: int) -> str:
        """What messages call a row; a header that is none has the number 0."""
        return f"{self.source.name}, row {row}" if row else self.source.name

    def _start(self, rows: Iterator[Row], notes: Notes) -> tuple[Header | None, Iterator[Row]]:
        """The header, and the rows behind it; where no row has what is needed, the fullest says so."""
        above = list[Row]()
        for number, cells in rows:
            if is_blank(cells):
                continue
            if self._is_header(number, cells):
                if above:
                    notes.add("{} [row above the header is|rows above the header are] passed over", len(above))
                return self._header(number, cells, notes), rows
            above.append((number, cells))
            if len(above) == HEADER_ROWS:
                break
        if not above:
            return None, rows
        likeliest = max(range(len(above)), key=lambda place: len(_named(above[place][1])))
        return self._header(*above[likeliest], notes), chain(above[likeliest + 1 :], rows)

    def _is_header(self, number: int, cells: Sequence[Cell]) -> bool:
        try:
            fields = self._read_header(number, cells, Notes()).fields
        except MelderError:
            return False
        return all(fields & {*several} for several in self.needs)

    def _read_header(self, number: int, cells: Sequence[Cell], notes: Notes) -> Header:
        place = self.place(number)
        return read_header(place, number, cells, self.fields, self.lists, self.options.columns, notes)

    def _header(self, number: int, cells: Sequence[Cell], notes: Notes) -> Header:
        header = self._read_header(number, cells, notes)
        identity = self.fields[0]
        if (identity,) in self.needs and identity not in header.fields:
            names = ", ".join(name for name in map(str, cells) if name.strip())
            raise MelderError(
                f"{self.place(number)}: has no column 'id'; name the columns {', '.join(self.fields)} in the first "
                f"row, or say which is which with --column id=HEADER (the headers are {names}{self._hinted(header)}); "
                "in a list without ids names will do: --column id=HEADER --column name=HEADER"
                f"{self.source.remedy}"
            )
        return header

    def _hinted(self, header: Header) -> str:
        hinted = hints(header.names, header.fields, self.fields)
        return f"; {hinted}" if hinted else ""

    def _values(self, header: Header, cells: Sequence[Cell], separators: dict[str, str], notes: Notes) -> Values:
        values: Values = {}
        for field, cell in zip(header.columns, cells, strict=False):
            if field is None:
                continue
            if (several := without_language(field)) in self.lists:
                texts = values_of(cell, separators[several])
                values[field] = (*values.get(field, ()), *(text for text in texts if present(field, text, notes)))
            elif (text := (" ".join(cell) if isinstance(cell, tuple) else cell).strip()) and present(
                field, text, notes
            ):
                values[field] = _bare_id(text) if header.wikidata and field == "id" else text
        return values | {copy: values[field] for copy, field in header.copies if field in values}

    def _separators(self, notes: Notes) -> dict[str, str]:
        """What stands between the values of a cell, for each list field: what the user says, else what is in them."""
        own = self.options.list_separator
        if own is not None or not self.lists:
            return dict.fromkeys(self.lists, own or "|")
        header, rows = self._start(self.source.rows(Problems(), Notes()), Notes())
        return separators_of(header, (cells for _, cells in rows), self.lists, notes)


def _named(cells: Sequence[Cell]) -> tuple[str, ...]:
    """What the cells of a row are, as `Header.names` has them."""
    return tuple(filter(None, (str(cell).strip().removeprefix("\ufeff").strip() for cell in cells)))


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
