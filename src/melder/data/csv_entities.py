"""Entities from a table: CSV with a header row, as spreadsheets write it.

Columns are `id`, `name`, `aliases`, `description`, `types` and `images`, in any order; only `id` must be there. In
aliases, types and images `|` stands between several values. Commas, semicolons and tabs are told apart by the header.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from pydantic import ValidationError

from melder.io.problems import Fault, Problems, describe
from melder.records import Entity, MelderError

__all__ = ["read_csv"]

SEVERAL = ("aliases", "types", "images")
DELIMITERS = ",;\t"
LONGEST = 1 << 24  # characters of a cell; the default of the csv module, 131,072, is less than a long article


def read_csv(path: Path, problems: Problems) -> Iterator[tuple[int, Entity]]:
    """Entities with their rows as a spreadsheet counts them (the header is row 1); the others go to `problems`."""
    csv.field_size_limit(LONGEST)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=_delimiter(file), strict=True)
        number, header = 0, list[str]()
        try:
            for number, cells in enumerate(rows, 1):
                if number == 1:
                    header = _header(path, cells)
                elif cells:  # a row without any is none, but a spreadsheet counts it
                    entity = _entity(header, cells)
                    if isinstance(entity, Entity):
                        yield number, entity
                    else:
                        problems.add(path, number, entity)
        except UnicodeDecodeError:
            problems.add(path, number + 1, [("", f"is not UTF-8 (it, or the row after it); {_encoding(path)}")])
        except csv.Error as error:
            problems.add(path, number + 1, [("", f"is not CSV ({error}); mend it, and what follows it is read too")])


def _delimiter(file: TextIO) -> str:
    try:
        header = file.readline()
    except UnicodeDecodeError:
        raise MelderError(f"{file.name}: is not UTF-8; {_encoding(Path(file.name))}") from None
    file.seek(0)
    return max(DELIMITERS, key=header.count)


def _header(path: Path, cells: Sequence[str]) -> list[str]:
    known, given = list(Entity.model_fields), [name.strip() for name in cells]
    if "id" not in given:
        raise MelderError(f"{path}, row 1: has no column 'id'; name the columns {', '.join(known)} in the first row")
    if unknown := [name for name in given if name not in known]:
        raise MelderError(f"{path}, row 1: there is no column {unknown[0]!r} in this format; use {', '.join(known)}")
    if len(set(given)) < len(given):
        raise MelderError(f"{path}, row 1: names a column twice; give each its own name")
    return given


def _entity(header: Sequence[str], cells: Sequence[str]) -> Entity | list[Fault]:
    if len(cells) > len(header):
        return [("", "has more cells than the header; put texts with the delimiter in them into quotes")]
    if len(cells) < len(header):
        return [("", "has fewer cells than the header; add the empty ones")]
    named = zip(header, cells, strict=True)
    values = {name: _several(cell) if name in SEVERAL else cell.strip() for name, cell in named}
    try:
        return Entity.model_validate(values)
    except ValidationError as error:
        return describe(error, Entity)


def _several(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split("|") if part.strip())


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        wide = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return "it is UTF-16: save it as CSV UTF-8" if wide else "save the file as CSV UTF-8"
