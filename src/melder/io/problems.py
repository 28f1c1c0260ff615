"""Collects what is wrong with the records of a file, so that one reading reports every bad record."""

from __future__ import annotations

import codecs
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from melder.records import BadData, BadRecord, MelderError

__all__ = ["Fault", "Problems", "describe", "first_fault", "read_bytes", "skip_mark"]

Fault = tuple[str, str]  # a field ("" = the whole record), and what is wrong with it and what to do

LONGEST_FIELD = 200  # characters of a field's name that are repeated: a key of the input may have a million

EXPECTED = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "an object { … }",
}

BOUNDS = {"greater_than_equal": ("ge", "from {} up"), "greater_than": ("gt", "above {}")}


@dataclass
class Problems:
    """The unusable records found so far: one `BadRecord` a record, whatever the number of its faults."""

    records: list[BadRecord] = field(default_factory=list)

    def add(self, file: Path | str, number: int, faults: Sequence[Fault], *, taken: bool = False) -> None:
        """Note the faults of record `number`, counted from 1; 0 = the whole file. `taken`: it is used all the same."""
        name, message = faults[0]
        others = [f"field '{name}': {message}" if name else message for name, message in faults[1:]]
        self.records.append(BadRecord(str(file), number, name, "; ".join([message, *others]), taken))

    def error(self) -> BadData:
        """All of them as one error."""
        return BadData(self.records)


def read_bytes(path: Path) -> bytes:
    """The contents of a file without a byte order mark.

    Raises:
        MelderError: It cannot be read.
    """
    try:
        return path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise MelderError(f"{path}: cannot be read ({error.strerror}); check the path and its rights") from None


def skip_mark(file: BinaryIO) -> BinaryIO:
    """The file, at its start, behind a byte order mark."""
    if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
        file.seek(0)
    return file


def describe(error: ValidationError, model: type[BaseModel]) -> list[Fault]:
    """What pydantic found, as faults in plain words."""
    return [(_field(detail), _message(detail, model)) for detail in error.errors(include_url=False)]


def first_fault(error: ValidationError, model: type[BaseModel]) -> Fault:
    """The first of what pydantic found; the whole record's where a rule over several fields is broken."""
    detail = error.errors(include_url=False)[0]
    return (_field(detail) if detail["loc"] else ""), _message(detail, model)


def _field(detail: ErrorDetails) -> str:
    if detail["type"] == "value_error" and not detail["loc"]:
        return "start"  # the one rule over several fields is that of the span
    path = ".".join(str(key) for key in detail["loc"])
    return path if len(path) <= LONGEST_FIELD else f"{path[: LONGEST_FIELD - 1]}…"


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind, value = detail["type"], reprlib.repr(detail["input"])
    if kind == "missing":
        return "is missing; add it"
    if kind == "too_long":
        return f"has more than {detail['ctx']['max_length']:,} entries; send fewer"
    if kind == "too_short":
        return f"has {detail['ctx']['actual_length']} entries; give {detail['ctx']['min_length']}"
    if kind == "extra_forbidden":
        return f"is not a field of this format; remove it, or use one of {', '.join(model.model_fields)}"
    if kind == "string_too_short":
        return "is empty; give it a value"
    if kind == "string_unicode":
        return "is not UTF-8 (or holds half of a surrogate pair); save the file as UTF-8"
    if kind == "json_invalid":
        return f"is not JSON ({detail['ctx']['error']}); mend it"
    if kind == "model_type":
        return f"is not a JSON object but {value}; write {{…}} with the fields {', '.join(model.model_fields)}"
    if kind in BOUNDS:
        bound, words = BOUNDS[kind]
        number = format(detail["ctx"][bound], ".15g")
        return f"must be a number {words.format(number)}, not {value}"
    if kind == "literal_error":
        return f"must be {detail['ctx']['expected']}, not {value}"
    if kind == "value_error":
        return f"{detail['ctx']['error']}; correct it"
    return f"must be {EXPECTED[kind]}, not {value}" if kind in EXPECTED else f"{detail['msg']}, not {value}"
