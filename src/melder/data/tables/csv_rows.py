"""The rows of a table in text: CSV with whichever delimiter, and results of SPARQL queries as TSV."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from melder.data.tables.cells import Row
from melder.data.tables.encodings import encoding_of
from melder.data.tables.options import Notes
from melder.data.tables.sparql import term_text
from melder.io.problems import Problems
from melder.records import MelderError

__all__ = ["csv_rows"]

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
SAMPLE = 20  # lines that are looked at for the delimiter: the first may be a title
LONGEST = 1 << 24  # characters of a cell; the default of the csv module, 131,072, is less than a long article
# How files begin that only have the name of a table.
OTHER_FORMATS = (
    (b"PK\x03\x04", "is a workbook or another ZIP file; give it the ending of what is in it, such as .xlsx"),
    (b"\xd0\xcf\x11\xe0", "is an old workbook of Excel; save it as CSV UTF-8 or as .xlsx"),
    (b"\x1f\x8b", "is packed by gzip; unpack it"),
    (b"BZh", "is packed by bzip2; unpack it"),
    (b"PAR1", "is Parquet; give it the ending .parquet"),
    (b"%PDF", "is a PDF; save the table as CSV UTF-8"),
    (b"<", "is HTML or XML; open it in a spreadsheet program and save it as CSV UTF-8"),
    (b"{", "is JSON; give it the ending .jsonl or .json"),
    (b"[", "is JSON; give it the ending .jsonl or .json"),
)


def csv_rows(path: Path, declared: str | None, problems: Problems, notes: Notes) -> Iterator[Row]:
    """The rows, the header first.

    Args:
        path: the file
        declared: its encoding, where the user has said so
        problems: told of the row at which it breaks off
        notes: told of encoding and delimiter, and of texts in formulas

    Yields:
        a number and the cells

    Raises:
        MelderError: It is a file of another format.
    """
    _check_format(path)
    encoding = encoding_of(path, declared, notes)
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
            # Spaces before a quote are no part of a cell, whose ends are stripped anyway.
            rows = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
            for number, cells in enumerate(rows, 1):
                yield number, [_text(cell, notes) for cell in cells]
        except UnicodeError:
            message = f"is not {_plain(encoding)}, and nothing from here on is read; {_remedy(encoding)}"
            problems.add(path, _first_bad_line(path, encoding), [("", message)])
        except csv.Error as error:
            problems.add(path, number + 1, [("", _broken_off(str(error)))])


def _check_format(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    if message := next((message for mark, message in OTHER_FORMATS if start.startswith(mark)), None):
        raise MelderError(f"{path}: {message}")


def _text(cell: str, notes: Notes) -> str:
    """A cell; the formula `="00123"`, by which zeros in front are kept from Excel, is its text."""
    if not (cell.startswith('="') and cell.endswith('"') and len(cell) > 2):
        return cell
    notes.add('{} [cell is a formula that is|cells are formulas that are] a text, as ="007" is, and [is|are] that text')
    return cell[2:-1].replace('""', '"')


def _broken_off(error: str) -> str:
    if error.startswith("unexpected end"):
        return "has a quote that is never closed, and everything behind it is in this cell; close or double the quote"
    return f"is not CSV ({error}; a quote within a quoted text is doubled); mend it, and what follows it is read too"


def _term_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Of a query's result as TSV: variables with question marks, and RDF terms, in which quotes are no CSV."""
    for number, line in enumerate(lines, 1):
        cells = line.rstrip("\r\n").split("\t")
        yield number, [cell.removeprefix("?") if number == 1 else term_text(cell) for cell in cells]


def _delimiter(file: TextIO, tabs: bool) -> tuple[str, list[str]]:
    """What divides cells, and the lines that were read to tell; Excel's first line `sep=;` is none of them.

    It is what stands in most lines, and most often in the first where several do.
    """
    line = file.readline()
    stripped = line.strip('\r\n "\ufeff')
    if stripped.lower().startswith("sep=") and len(stripped) <= 5:
        return (stripped[4:] or "\t"), []
    lines = [line.removeprefix("\ufeff"), *islice(file, SAMPLE - 1)]
    outside = ["".join(line.split('"')[::2]) for line in lines]  # what stands in quotes divides nothing
    uses = {sign: (sum(sign in line for line in outside), outside[0].count(sign)) for sign in DELIMITERS}
    most = max(DELIMITERS, key=uses.__getitem__)
    return ("\t" if tabs and not any(uses[most]) else most), lines


def _first_bad_line(path: Path, encoding: str) -> int:
    decoder, good = codecs.getincrementaldecoder(encoding)(), 0
    with path.open("rb") as file:
        for line in file:
            try:
                decoder.decode(line)
            except UnicodeError:
                break
            good += 1
        else:
            return max(good, 1)  # the last breaks off within a letter
    return good + 1


def _plain(encoding: str) -> str:
    return "UTF-8" if encoding.startswith("utf-8") else encoding.upper()


def _remedy(encoding: str) -> str:
    if encoding.startswith("utf-8"):
        return "save the file as CSV UTF-8, or name its encoding with --encoding, such as windows-1252"
    return "name another --encoding, or save the file as CSV UTF-8"
