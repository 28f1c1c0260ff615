"""The rows of a workbook's sheet as people see them (`pip install melder[tables]`)."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from melder.data.tables.cells import ERROR_NOTE, Cell, Row, optional_package, text_of
from melder.data.tables.options import Notes
from melder.data.tables.sheet_markup import SheetMarkup, read_markup
from melder.records import MelderError

__all__ = ["sheet_names", "sheet_rows"]

UNPACKED = 1 << 31  # bytes of an XLSX file once it is unpacked: more than a spreadsheet program opens
OLD = b"\xd0\xcf\x11\xe0"  # how files of Excel before 2007 begin, and those that a password locks
EXACT = 10**15  # spreadsheets keep 15 digits of a number
_PADDED = re.compile(r'(?:"([^"]*)")?(0{2,})')  # formats such as 00000 and "GN-"000

MERGED = "{} merged [cell goes|cells go] over several rows; each of these rows has [its|their] text"
UNCOMPUTED = (
    "{} [formula has no value|formulas have no values] in the file, and [is|are] empty; open it in a spreadsheet "
    "program and save it there"
)
HIDDEN = "{} hidden [row is|rows are] read too"
PADDED = "{} [number is|numbers are] read with the zeros in front that [its|their] format shows"
LONG = (
    "{} [number has|numbers have] more than 15 digits, which spreadsheets round: format ids as text before they are "
    "typed in"
)


def sheet_rows(path: Path, name: str | None, notes: Notes) -> Iterator[Row]:
    """The rows of a sheet, the header first.

    Args:
        path: an .xlsx file
        name: of the sheet; None = the first that is not hidden and not empty
        notes: told which sheet is read, and what its cells hide

    Yields:
        a number and the cells

    Raises:
        MelderError: It is no workbook, there is no such sheet, or the package is missing.
    """
    with _opened(path) as (book, archive):
        sheet = _sheet(path, book.worksheets, name, notes)
        with archive.open(sheet._worksheet_path) as file:  # openpyxl has no other word for it
            markup = read_markup(file)
        _note(markup, notes)
        yield from _filled(_rows(sheet, notes), markup)


def sheet_names(path: Path) -> list[str]:
    """The names of the sheets that are not hidden.

    Args:
        path: an .xlsx file

    Returns:
        in the order of the workbook
    """
    with _opened(path) as (book, _):
        return [sheet.title for sheet in _visible(book.worksheets)]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, zipfile.ZipFile]]:
    openpyxl = optional_package("openpyxl", "XLSX")
    try:
        _check_kind(path)
        with zipfile.ZipFile(path) as archive:
            _check_unpacked(path, archive)
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            try:
                yield book, archive
            finally:
                book.close()
    except MelderError:
        raise
    except Exception as error:  # of ZIP, XML and the parts of a workbook, each of which has errors of its own
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise MelderError(f"{path}: is no XLSX file ({reason}); save it as XLSX or as CSV UTF-8") from None


def _check_kind(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(OLD)) == OLD:
            raise MelderError(
                f"{path}: is locked by a password, or an old .xls; save it without a password as XLSX or as CSV UTF-8"
            )


def _check_unpacked(path: Path, archive: zipfile.ZipFile) -> None:
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > UNPACKED:
        raise MelderError(f"{path}: is {unpacked:,} bytes once unpacked, too many; save it as CSV UTF-8")


def _visible(sheets: Sequence[Any]) -> list[Any]:
    return [sheet for sheet in sheets if sheet.sheet_state == "visible"] or list(sheets)


def _sheet(path: Path, sheets: Sequence[Any], name: str | None, notes: Notes) -> Any:
    if not sheets:
        raise MelderError(f"{path}: has no sheet; save the table as XLSX or as CSV UTF-8")
    if name is not None:
        titles = [sheet.title for sheet in sheets]
        if name not in titles:
            raise MelderError(f"{path}: has no sheet {name!r}; its sheets are {', '.join(titles)}")
        return sheets[titles.index(name)]
    visible = _visible(sheets)
    sheet = next((sheet for sheet in visible if _has_cells(sheet)), visible[0])
    if len(sheets) > 1:
        notes.add(f"of {len(sheets)} sheets {sheet.title!r} is read (--sheet says otherwise)")
    return sheet


def _has_cells(sheet: Any) -> bool:
    return any(value is not None for row in sheet.iter_rows(max_row=100, values_only=True) for value in row)


def _note(markup: SheetMarkup, notes: Notes) -> None:
    for sentence, times in (
        (MERGED, len(markup.merged)),
        (UNCOMPUTED, markup.uncomputed),
        (HIDDEN, markup.hidden),
    ):
        if times:
            notes.add(sentence, times)


def _rows(sheet: Any, notes: Notes) -> Iterator[tuple[int, list[Cell]]]:
    width = 0
    for number, row in enumerate(sheet.iter_rows(), 1):
        cells = [_cell(cell, notes) for cell in row]
        width = max(width, len(cells))
        yield number, cells + [""] * (width - len(cells))  # a sheet has no short rows, only cells without anything


def _filled(rows: Iterator[tuple[int, list[Cell]]], markup: SheetMarkup) -> Iterator[Row]:
    """The rows, with the text of a merged cell in each of its rows."""
    first_rows = {(column, first): last for column, first, last in markup.merged}
    waiting: dict[int, tuple[int, Cell]] = {}  # the last row and the text, by column
    columns = sorted({column for column, _, _ in markup.merged})
    for number, cells in rows:
        for column in columns:
            if column >= len(cells):
                continue
            if (last := first_rows.get((column, number))) is not None:
                waiting[column] = (last, cells[column])
            elif column in waiting and number <= waiting[column][0]:
                cells[column] = waiting[column][1]
        yield number, cells


def _cell(cell: Any, notes: Notes) -> Cell:
    if cell.data_type == "e":
        notes.add(ERROR_NOTE)
        return ""
    if isinstance(cell.value, bool | type(None)):
        return text_of(cell.value)
    if isinstance(cell.value, int | float):
        return _number(cell, notes)
    return _unescaped(cell.value) if isinstance(cell.value, str) else text_of(cell.value)


def _number(cell: Any, notes: Notes) -> Cell:
    if abs(cell.value) >= EXACT:
        notes.add(LONG)
    padded = _PADDED.fullmatch(cell.number_format or "")
    if padded is None or cell.value < 0 or cell.value != int(cell.value):
        return text_of(cell.value)
    digits = str(int(cell.value)).zfill(len(padded[2]))
    if digits != str(int(cell.value)) or padded[1]:
        notes.add(PADDED)
    return (padded[1] or "") + digits


def _unescaped(text: str) -> str:
    """A text with the characters that XML cannot hold, which workbooks write as _x000D_."""
    if "_x" not in text:
        return text
    from openpyxl.utils.escape import unescape

    return str(unescape(text))
