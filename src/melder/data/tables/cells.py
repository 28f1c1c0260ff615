"""What a table consists of, whatever wrote it: cells of text, rows by their numbers, and where they come from."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from melder.data.tables.options import Notes
from melder.io.problems import Problems
from melder.records import MelderError

__all__ = ["ERROR_NOTE", "Cell", "Row", "RowSource", "is_blank", "optional_package", "text_of"]

Cell = str | tuple[str, ...]  # a text, empty where there is nothing, or a list of texts where the format has lists
Row = tuple[int, Sequence[Cell]]

ERROR_NOTE = "{} [cell holds|cells hold] an error of the spreadsheet, such as #N/A; [it counts|they count] as empty"


class RowSource(Protocol):
    """Where the rows of a table come from: the header first, then rows by their numbers; it is read several times."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def remedy(self) -> str:
        """What may help, in the words of a message, where no row is a header; else empty."""
        ...

    def rows(self, problems: Problems, notes: Notes) -> Iterator[Row]:
        """What cannot be read goes to `problems`.

        Raises:
            MelderError: Nothing of it can be read.
        """
        ...


def is_blank(cells: Sequence[Cell]) -> bool:
    """Whether there is nothing in a row.

    Args:
        cells: of the row

    Returns:
        whether all are empty
    """
    return not any(map(str.strip, map(str, cells)))


def text_of(value: object) -> Cell:
    """A value of a spreadsheet or data frame as a table in text has it: a whole number without a point.

    Args:
        value: of one cell

    Returns:
        its text, or the texts of a list
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


def optional_package(name: str, what: str) -> Any:
    """The package that a format needs.

    Args:
        name: of the package
        what: the format, for messages

    Returns:
        the module

    Raises:
        MelderError: It is not installed.
    """
    try:
        return __import__(name)
    except ImportError:
        raise MelderError(
            f"{what} needs the package {name.partition('.')[0]}: pip install 'melder[tables]', or save as CSV"
        ) from None
