"""Links as a table for spreadsheets: one row a mention, three columns a candidate.

A cell that a spreadsheet would take for a formula (`=`, `+`, `-` or `@` first, also in full width, or a tab or line end
before them) has an apostrophe in front, as OWASP advises: names come from anybody. Numbers stay numbers.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TextIO

from melder.export.addresses import answer_of
from melder.export.annotated_text import LinkedMention
from melder.records import Link

__all__ = ["LinkTable", "guarded"]

_FORMULA = (*"=+-@＝＋－＠", "\t", "\r", "\n")


class LinkTable:
    """A CSV file of links that is being written.

    Args:
        file: opened with `newline=""`
        k: candidates of a mention that have columns
        decided: whether links have an answer
        delimiter: a comma, or a tab
    """

    def __init__(self, file: TextIO, k: int, *, decided: bool, delimiter: str = ",") -> None:
        self._writer, self._k, self._decided = csv.writer(file, delimiter=delimiter), k, decided
        answer = ["answer"] if decided else []
        ranks = (f"{what}_{rank}" for rank in range(1, k + 1) for what in ("id", "name", "score"))
        self._writer.writerow(["id", "mention", "start", "end", "nil_probability", *answer, *ranks])

    def write(self, linked: Iterable[LinkedMention]) -> None:
        """Add links."""
        self._writer.writerows(self._row(link) for _, link in linked)

    def finish(self) -> None:
        """Nothing stands behind the last row."""

    def _row(self, link: Link) -> list[str | int | float | None]:
        answer = [guarded(answer_of(link) or "")] if self._decided else []
        cells: list[str | int | float | None] = [guarded(link.id), guarded(link.surface), link.start, link.end]
        cells += [link.nil_probability, *answer]
        for candidate in link.candidates[: self._k]:
            cells += [guarded(candidate.id), guarded(candidate.name), round(candidate.score, 4)]
        return cells + [None] * 3 * (self._k - len(link.candidates))


def guarded(text: str) -> str:
    """The text, with an apostrophe before what a spreadsheet would compute."""
    if not text.startswith(_FORMULA) or _is_number(text):
        return text
    return f"'{text}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip() == text and text[-1].isdecimal()
