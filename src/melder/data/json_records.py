"""Files of JSON: an object a line, or an array of objects, whichever is in them.

Programs write what is not there as `null` and ids as numbers; both are taken as what they mean. A file that is
something else altogether is one mistake, not one a line.
"""

from __future__ import annotations

import codecs
import json
import reprlib
from collections.abc import Iterator
from typing import BinaryIO, TypeVar

from pydantic import BaseModel, ValidationError

from melder.data.own import Complete, parse_lines, plain
from melder.io.json_array import parse_array
from melder.io.problems import Fault, Problems, describe, skip_mark

__all__ = ["read_json"]

Record = TypeVar("Record", bound=BaseModel)


def read_json(
    file: BinaryIO, name: str, model: type[Record], problems: Problems, complete: Complete = plain
) -> Iterator[tuple[int, Record]]:
    """The records of a file with the numbers of their lines, or of their places in an array.

    Args:
        file: at its start, one that can be read from its start again
        name: of the file, for messages
        model: what each object is validated as
        problems: told of every object that is no record
        complete: makes an object a record, given its number

    Yields:
        A number and a record.
    """
    first = next((line for line in skip_mark(file) if line.strip()), b"").strip()
    file.seek(0)
    skip_mark(file)
    if first.startswith(b"["):
        yield from _elements(file.read(), name, model, problems, complete)
    elif reason := _other_format(first):
        problems.add(name, 0, [("", reason)])
    elif not _is_json(first) and _is_json(file.read()):
        problems.add(name, 0, [("", "is one JSON object; write a record a line, or an array [ … ] of records")])
    else:
        file.seek(0)
        yield from parse_lines(skip_mark(file), name, model, problems, complete)


def _elements(
    data: bytes, name: str, model: type[Record], problems: Problems, complete: Complete
) -> Iterator[tuple[int, Record]]:
    for number, value in parse_array(data, name, problems):
        content = json.dumps(complete(value, number) if isinstance(value, dict) else value)
        try:
            record = model.model_validate_json(content, strict=True)
        except ValidationError as error:
            problems.add(name, number, _surrogate_fault(value) or describe(error, model))
        else:
            yield number, record


def _other_format(first: bytes) -> str | None:
    """Why a file with this first line is no JSON at all; None where it may be."""
    if not first or first.startswith(b"{"):
        return None
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "is UTF-16; save the file as UTF-8"
    start = reprlib.repr(first.decode(errors="replace"))
    return f"is no JSON: it begins with {start}; give a table the ending .csv, .tsv, .xlsx or .parquet"


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _surrogate_fault(value: object) -> list[Fault]:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return [("", "is not UTF-8 (or holds half of a surrogate pair); save the file as UTF-8")]
    return []
