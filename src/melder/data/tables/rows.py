"""The rows of a table, as cells of text: CSV, XLSX and Parquet (`pip install melder[tables]`).

The first row is the header, and rows are numbered as a spreadsheet numbers them. A cell is a text, empty where there
is nothing, or a list of texts where the format has lists.
"""

from __future__ import annotations

import csv
import datetime
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any, Protocol, TextIO

from melder.data.tables.encodings import encoding_of
from melder.data.tables.options import Notes
from melder.data.tables.sparql import ENDINGS, json_rows, term_text
from melder.io.problems import Problems
from melder.records import MelderError

__all__ = ["FORMATS", "Cell", "FileRows", "Row", "RowSource", "rows_of", "text_of"]

Cell = str | tuple[str, ...]
Row = tuple[int, Sequence[Cell]]


class RowSource(Protocol):
    """Where the rows of a table come from: the header first, then rows by their numbers; it is read several times."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def rows(self, problems: Problems, notes: Notes) -> Iterator[Row]:
        """What cannot be read goes to `problems`.

        Raises:
            MelderError: Nothing of it can be read.
        """
        ...


@dataclass(frozen=True)
class FileRows:
    """The rows of a file. Fulfils `RowSource`.

    Args:
        path: Of the file.
        encoding: Of a CSV file, where the user has declared it.
    """

    path: Path
    encoding: str | None = None

    @property
    def name(self) -> str:
        return str(self.path)

    def rows(self, problems: Problems, notes: Notes) -> Iterator[Row]:
        return rows_of(self.path, self.encoding, problems, notes)


DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
LONGEST = 1 << 24  # characters of a cell; the default of the csv module, 131,072, is less than a long article
UNPACKED = 1 << 31  # bytes of an XLSX file once it is unpacked: more than a spreadsheet program opens
BATCH = 4096  # rows of a Parquet file that are read together


def rows_of(path: Path, encoding: str | None, problems: Problems, notes: Notes) -> Iterator[Row]:
    """The rows of a table, the header first; what cannot be read goes to `problems`.

    Args:
        path: a file whose suffix is one of `FORMATS`
        encoding: of a CSV file, where the user has declared it
        problems: told of the row at which a file breaks off
        notes: told of what was read off the file: encoding, delimiter, sheet

    Yields:
        A number and the cells.

    Raises:
        MelderError: the file is not what its name says, or its package is missing
    """
    suffix = path.suffix.lower()
    if suffix in (".xlsx", ".xlsm"):
        return _sheet_rows(path, notes)
    if suffix == ".parquet":
        return _parquet_rows(path)
    if suffix in ENDINGS:
        return json_rows(path)
    return _csv_rows(path, encoding_of(path, encoding, notes), problems, notes)


FORMATS = (".csv", ".tsv", ".xlsx", ".xlsm", ".parquet")


def text_of(value: object) -> Cell:
    """A value of a spreadsheet or data frame as a table in text has it: a whole number without a point.

    Args:
        value: Of one cell.

    Returns:
        Its text, or several texts of a list.
    """
    if value is None or value != value:  # NaN is not itself
        return ""
    if isinstance(value, list | tuple):
        return tuple(text for item in value if isinstance(text := text_of(item), str) and text)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, datetime.datetime | datetime.date) else str(value)


def _csv_rows(path: Path, encoding: str, problems: Problems, notes: Notes) -> Iterator[Row]:
    csv.field_size_limit(LONGEST)
    with path.open(encoding=encoding, newline="") as file:
        number = 0
        try:
            delimiter, first = _delimiter(file, path.suffix.lower() == ".tsv")
            if delimiter != "," and delimiter in DELIMITERS:
                notes.add(f"cells are divided by {DELIMITERS[delimiter]}")
            lines = chain(first, file)
            if delimiter == "\t" and first and first[0].startswith("?"):
                yield from _term_rows(lines)
                return
            for number, cells in enumerate(csv.reader(lines, delimiter=delimiter, strict=True), 1):
                yield number, cells
        except UnicodeError:
            message = f"is not {_plain(encoding)} (it, or the row after it); {_remedy(encoding)}"
            problems.add(path, number + 1, [("", message)])
        except csv.Error as error:
            problems.add(path, number + 1, [("", f"is not CSV ({error}); mend it, and what follows it is read too")])


def _term_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Of a query's result as TSV: variables with question marks, and RDF terms, in which quotes are no CSV."""
    for number, line in enumerate(lines, 1):
        cells = line.rstrip("\r\n").split("\t")
        yield number, [cell.removeprefix("?") if number == 1 else term_text(cell) for cell in cells]


def _delimiter(file: TextIO, tabs: bool) -> tuple[str, list[str]]:
    """What divides cells, and the lines that were read to tell; Excel's first line `sep=;` is none of them."""
    line = file.readline()
    stripped = line.strip("\r\n \ufeff")
    if stripped.lower().startswith("sep=") and len(stripped) <= 5:
        return (stripped[4:] or "\t"), []
    outside = "".join(line.split('"')[::2])  # what stands in quotes divides nothing
    most = max(DELIMITERS, key=outside.count)
    return ("\t" if tabs and not outside.count(most) else most), [line.removeprefix("\ufeff")]


def _plain(encoding: str) -> str:
    return "UTF-8" if encoding.startswith("utf-8") else encoding.upper()


def _remedy(encoding: str) -> str:
    if encoding.startswith("utf-8"):
        return "save the file as CSV UTF-8, or name its encoding with --encoding, such as windows-1252"
    return "name another --encoding, or save the file as CSV UTF-8"


def _sheet_rows(path: Path, notes: Notes) -> Iterator[Row]:
    openpyxl = _package("openpyxl", "XLSX")
    try:
        _check_unpacked(path)
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            yield from _first_sheet(path, book.worksheets, notes)
        finally:
            book.close()
    except MelderError:
        raise
    except Exception as error:  # of ZIP, XML and the parts of a workbook, each of which has errors of its own
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise MelderError(f"{path}: is no XLSX file ({reason}); save it as XLSX or as CSV UTF-8") from None


def _check_unpacked(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > UNPACKED:
        raise MelderError(f"{path}: is {unpacked:,} bytes once unpacked, too many; save it as CSV UTF-8")


def _first_sheet(path: Path, sheets: Sequence[Any], notes: Notes) -> Iterator[Row]:
    if not sheets:
        raise MelderError(f"{path}: has no sheet; save the table as XLSX or as CSV UTF-8")
    if len(sheets) > 1:
        notes.add(f"only the first of {len(sheets)} sheets is read, {sheets[0].title!r}")
    width = 0
    for number, row in enumerate(sheets[0].iter_rows(), 1):
        cells = [_sheet_cell(cell, notes) for cell in row]
        width = width or len(cells)
        yield number, cells + [""] * (width - len(cells))  # a sheet has no short rows, only cells without anything


def _sheet_cell(cell: Any, notes: Notes) -> Cell:
    if cell.data_type == "e":
        notes.add(
            "{} [cell holds|cells hold] an error of the spreadsheet, such as #N/A; [it counts|they count] as empty"
        )
        return ""
    return text_of(cell.value)


def _parquet_rows(path: Path) -> Iterator[Row]:
    _package("pyarrow", "Parquet")
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path)
        yield 1, table.schema_arrow.names
        numbers = count(2)
        for batch in table.iter_batches(BATCH):
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield next(numbers), [text_of(value) for value in values]
    except (ValueError, TypeError, KeyError, NotImplementedError, OSError) as error:  # Arrow's own errors are these
        reason = " ".join(str(error).split())[:200]
        raise MelderError(f"{path}: is no Parquet file ({reason}); save it again, or as CSV UTF-8") from None


def _package(name: str, what: str) -> Any:
    try:
        return __import__(name)
    except ImportError:
        raise MelderError(f"{what} needs the package {name}: pip install 'melder[tables]', or save as CSV") from None
