"""Cells that hold several values: what stands between them, told by the whole column."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from melder.data.tables.cells import Cell
from melder.data.tables.header import Header
from melder.data.tables.language_columns import without_language
from melder.data.tables.options import Notes
from melder.io.counts import in_number
from melder.io.json_text import check_text

__all__ = ["SEPARATOR", "separators_of", "values_of"]

SEPARATOR = "|"
WIKIDATA = {"aliases": ", ", "types": "\n", "images": "\n"}  # the label service puts aliases together with commas


def separators_of(
    header: Header | None, rows: Iterable[Sequence[Cell]], lists: Sequence[str], notes: Notes
) -> dict[str, str]:
    """What stands between the values of a cell, for each list field: `|` where it occurs in the column, else `;`.

    Args:
        header: of the table; None of one without a row
        rows: all of them
        lists: the fields that may hold several values
        notes: told of `;` and of lists in JSON

    Returns:
        the separator of each field
    """
    signs_in, in_json = {field: set[str]() for field in lists}, dict.fromkeys(lists, 0)
    for cells in rows if header is not None else ():
        for field, cell in zip(header.columns if header else (), cells, strict=False):
            several = without_language(field or "")
            if several in signs_in and isinstance(cell, str):
                signs_in[several].update(sign for sign in "|;" if sign in cell)
                in_json[several] += _json_list(cell) is not None
    wikidata = header is not None and header.wikidata
    for field, signs in signs_in.items():
        if in_json[field]:
            sentence = f"{{}} [cell of {field} is a list|cells of {field} are lists] in JSON"
            notes.add(in_number(sentence, in_json[field]))
        if signs == {";"} and not wikidata:
            notes.add(f"';' divides the values in cells of {field} (--list-separator says otherwise)")
    separators = {field: ";" if signs == {";"} else SEPARATOR for field, signs in signs_in.items()}
    return separators | (WIKIDATA if wikidata else {})


def values_of(cell: Cell, separator: str) -> tuple[str, ...]:
    """The values of a cell, without empty ones.

    Args:
        cell: a text or, where the format has lists, its texts
        separator: what stands between values

    Returns:
        the values, without spaces at their ends
    """
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
