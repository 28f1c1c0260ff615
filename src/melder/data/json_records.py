"""Files of JSON: an object a line, an array of objects, or objects over several lines, whichever is in them.

Programs write what is not there as `null` and ids as numbers; both are taken as what they mean. A file that is
something else altogether is one mistake, not one a line.
"""

from __future__ import annotations

import codecs
import json
import reprlib
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, BinaryIO, TypeVar

from pydantic import BaseModel, ValidationError

from melder.data.own import Complete, parse_lines, plain
from melder.io.json_array import parse_array, parse_values
from melder.io.problems import Fault, Problems, describe, skip_mark

__all__ = ["read_json"]

ONE_OBJECT = "is one JSON object; write a record a line, or an array [ … ] of records"

Record = TypeVar("Record", bound=BaseModel)
Values = Iterator[tuple[int, object]]


def read_json(
    file: BinaryIO,
    name: str,
    model: type[Record],
    problems: Problems,
    complete: Complete = plain,
    *,
    completes_all: bool = False,
) -> Iterator[tuple[int, Record]]:
    """The records of a file with the numbers of their lines, or of their places in an array.

    Args:
        file: at its start, one that can be read from its start again
        name: of the file, for messages
        model: what each object is validated as
        problems: told of every object that is no record
        complete: makes an object a record, given its number
        completes_all: it is asked of every object, whatever its fields are called

    Yields:
        A number and a record.
    """
    first = next((line for line in skip_mark(file) if line.strip()), b"").strip()
    file.seek(0)
    skip_mark(file)
    if first.startswith(b"["):
        yield from _elements(parse_array(file.read(), name, problems), name, model, problems, complete)
    elif reason := _other_format(first):
        problems.add(name, 0, [("", reason)])
    elif first.startswith(b"{") and _goes_on(file, first):
        values = parse_values(file.read(), name, problems)
        values = values if completes_all else _unwrapped(values, name, model, problems)
        yield from _elements(values, name, model, problems, complete)
    elif completes_all:
        yield from _elements(_line_values(file, name, problems), name, model, problems, complete)
    elif reason := _wrapping_alone(file, first, model):
        problems.add(name, 0, [("", reason)])
    else:
        file.seek(0)
        yield from parse_lines(skip_mark(file), name, model, problems, complete)


def _goes_on(file: BinaryIO, first: bytes) -> bool:
    """Whether the first object of a file goes on behind the first line; the file is left as it stood."""
    if _is_json(first):
        return False
    start = file.tell()
    text = file.read().decode("utf-8", errors="surrogateescape").lstrip()
    file.seek(start)
    try:
        return "\n" in text[: json.JSONDecoder().raw_decode(text)[1]]
    except (ValueError, RecursionError):
        return False


def _wrapping_alone(file: BinaryIO, first: bytes, model: type[BaseModel]) -> str | None:
    """What to do with a file whose only line holds the records within it."""
    reason = _wrapping(json.loads(first), model) if _is_json(first) else None
    return None if reason is None or any(line.strip() not in (b"", first) for line in file) else reason


def _unwrapped(values: Values, name: str, model: type[BaseModel], problems: Problems) -> Values:
    """The values, unless there is but one, which holds the records within it."""
    first = list(islice(values, 2))
    if len(first) == 1 and _is_strange(first[0][1], model):
        problems.add(name, 0, [("", _wrapping(first[0][1], model) or ONE_OBJECT)])
        return iter(())
    return chain(first, values)


def _wrapping(value: Any, model: type[BaseModel]) -> str | None:
    """What to do with an object that is no record, but holds some; None of another."""
    if not _is_strange(value, model):
        return None
    lists = [key for key, content in value.items() if isinstance(content, list) and _are_objects(content)]
    if len(lists) == 1:
        return f"holds its records in {lists[0]!r}; write that array alone: jq '.{lists[0]}' FILE"
    if value and _are_objects(list(value.values())):
        return "is an object of objects; write a record a line: jq -c 'to_entries[] | {id: .key} + .value' FILE"
    return None


def _is_strange(value: Any, model: type[BaseModel]) -> bool:
    """Whether it is an object with none of a record's fields."""
    return isinstance(value, dict) and not value.keys() & {*model.model_fields, "mention"}


def _are_objects(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, dict) for value in values)


def _line_values(lines: BinaryIO, name: str, problems: Problems) -> Values:
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.add(name, number, [("", f"is not JSON ({error}); mend it")])


def _elements(
    values: Values, name: str, model: type[Record], problems: Problems, complete: Complete
) -> Iterator[tuple[int, Record]]:
    for number, value in values:
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
