"""The rows of a file that is a table (CSV, XLSX, Parquet, a query's result), numbered as in a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from melder.data.tables.cells import Row
from melder.data.tables.csv_rows import csv_rows
from melder.data.tables.options import Notes, TableOptions
from melder.data.tables.parquet_rows import parquet_rows
from melder.data.tables.sheet_rows import sheet_names, sheet_rows
from melder.data.tables.sparql import ENDINGS, json_rows
from melder.errors import TABLES
from melder.io.problems import Problems
from melder.records import MelderError

__all__ = ["FORMATS", "SHEETS", "FileRows"]

SHEETS = (".xlsx", ".xlsm")
FORMATS = (*TABLES, ".parquet")


@dataclass(frozen=True)
class FileRows:
    """The rows of a file. Fulfils `RowSource`.

    Args:
        path: Its suffix is one of `FORMATS`, or that of a query's result.
        encoding: Of a CSV file, where the user has declared it.
        sheet: Of a workbook, by name; None = the first that has something.
    """

    path: Path
    encoding: str | None = None
    sheet: str | None = None

    @classmethod
    def of(cls, path: Path, options: TableOptions) -> FileRows:
        """The file as the options say that it is read.

        Raises:
            MelderError: An option is of files of another format.
        """
        if options.sheet is not None and path.suffix.lower() not in SHEETS:
            raise MelderError(f"--sheet {options.sheet}: {path} has no sheets; leave the option out")
        return cls(path, options.encoding, options.sheet)

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def remedy(self) -> str:
        """The sheets that there are, where none is named."""
        if self.path.suffix.lower() not in SHEETS or self.sheet is not None:
            return ""
        names = sheet_names(self.path)
        return f"; its sheets are {', '.join(names)}: say which with --sheet NAME" if len(names) > 1 else ""

    def rows(self, problems: Problems, notes: Notes) -> Iterator[Row]:
        """The header first; what cannot be read goes to `problems`, and what was read off the file to `notes`."""
        suffix = self.path.suffix.lower()
        if suffix in SHEETS:
            return sheet_rows(self.path, self.sheet, notes)
        if suffix == ".parquet":
            return parquet_rows(self.path, problems, notes)
        if suffix in ENDINGS:
            return json_rows(self.path)
        return csv_rows(self.path, self.encoding, problems, notes)
