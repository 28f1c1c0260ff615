"""The errors that tell a user which record to mend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["BadData", "BadRecord", "MelderError", "counted"]

TABLES = (".csv", ".tsv", ".xlsx", ".xlsm")  # how names of tables end
SHOWN = 20  # records that a message lists: enough to see the pattern, little enough to read


class MelderError(Exception):
    """Something that the user can put right; its message is one line (or one line a record)."""

    def __init__(self, message: str) -> None:
        super().__init__(_printable(message))


def counted(file: str) -> str:
    """What numbers of a file's records count: a spreadsheet numbers the rows of a table."""
    return "row" if file.lower().endswith(TABLES) else "record"


def _printable(text: str) -> str:
    """The text with halves of surrogate pairs, which files can hold and no encoding has, written out as \\udxxx."""
    return text.encode(errors="backslashreplace").decode()


@dataclass(frozen=True)
class BadRecord:
    """Where a record is wrong, why, and what to do about it.

    Args:
        number: Counted from 1, a line of JSON Lines, an element of a JSON array, a row of a table; 0 = the whole file.
        taken: It was used as far as it goes.
    """

    file: str
    number: int
    field: str
    message: str
    taken: bool = False

    def __str__(self) -> str:
        place = f"{self.file}, {counted(self.file)} {self.number}" if self.number else self.file
        field = f", field '{self.field}'" if self.field else ""
        return _printable(f"{place}{field}: {self.message}")


class BadData(MelderError):
    """One or more records are unusable; `records` names each of them."""

    def __init__(self, records: Sequence[BadRecord]) -> None:
        self.records = tuple(records)
        more = len(self.records) - SHOWN
        listed = [str(record) for record in self.records[:SHOWN]]
        super().__init__("\n".join([*listed, f"and {more:,} more bad records"] if more > 0 else listed))
