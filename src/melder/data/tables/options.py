"""How a table is to be read, as far as somebody has said so; the rest is read off the table, and noted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from melder.io.counts import in_number
from melder.records import MelderError

__all__ = ["Notes", "TableOptions", "parse_columns"]


@dataclass(frozen=True)
class TableOptions:
    """What a user may say of a table.

    Args:
        columns: (field, header) pairs; a list field may have several headers.
        encoding: Of a CSV file, where it says nothing of itself.
        sheet: Of a workbook, by its name.
        list_separator: What stands between the values of a cell of aliases, types or images.
        merge_rows: Rows with one id are one record.
        lenient: Rows that are too short or too long are taken as far as they go, and listed.
    """

    columns: tuple[tuple[str, str], ...] = ()
    encoding: str | None = None
    sheet: str | None = None
    list_separator: str | None = None
    merge_rows: bool = False
    lenient: bool = False


@dataclass
class Notes:
    """What a user should know of how a file was read, one sentence a kind of thing, with how often it occurred:
    `Notes()` is empty.
    """

    _counts: dict[str, int] = field(default_factory=dict)

    def add(self, sentence: str, times: int = 1) -> None:
        """Note something that is no mistake; `{}` in the sentence stands for how often it was noted, and `[is|are]` for
        what then differs."""
        self._counts[sentence] = self._counts.get(sentence, 0) + times

    def __iter__(self) -> Iterator[str]:
        for sentence, times in self._counts.items():
            yield in_number(sentence, times) if "{}" in sentence else sentence


def parse_columns(pairs: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """`field=header` pairs, as `--column` has them.

    Args:
        pairs: In the order in which they were given.

    Returns:
        Fields and headers.

    Raises:
        MelderError: What is none.
    """
    columns = []
    for pair in pairs:
        name, sign, header = pair.partition("=")
        if not sign or not name.strip() or not header.strip():
            raise MelderError(f"--column {pair!r}: write FIELD=HEADER, such as id=ID or name=Label")
        columns.append((name.strip(), header.strip()))
    return tuple(columns)
