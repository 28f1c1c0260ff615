"""Melder's own layout: JSON Lines, one object a line, with the field names of `Entity` and `Mention`.

A directory holds `entities.jsonl` and any of `train.jsonl`, `dev.jsonl` and `test.jsonl`; pictures are named by
paths relative to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from melder.data.by_language import with_labels
from melder.data.layouts import Layout
from melder.data.tables.cells import text_of
from melder.data.tables.list_cells import SEPARATOR, values_of
from melder.io.problems import Fault, Problems, describe, read_bytes
from melder.records import Entity, Mention

__all__ = ["LAYOUT", "Complete", "OwnLayout", "as_written", "parse_lines", "plain", "plain_record", "read_lines"]

TEXTS = ("id", "answer", "name", "description", "surface", "mention", "text")  # which programs may write as numbers
SEVERAL = ("aliases", "types", "images")  # lists of texts
IMAGE = "image"  # one text or several

Record = TypeVar("Record", bound=BaseModel)
Complete = Callable[[Mapping[str, Any], int], dict[str, Any]]  # an object and its number → the fields of a record


def plain_record(value: Mapping[str, Any]) -> dict[str, Any]:
    """A record as other programs write it, put right: without what is null, with numbers that stand for texts as such,
    one text for a list of one, and texts by language taken apart.

    Args:
        value: An object of JSON.

    Returns:
        By field.
    """
    given = with_labels({name: content for name, content in value.items() if not _is_absent(content)})
    return {name: _as_texts(name, content) for name, content in given.items()}


def _as_texts(field: str, content: Any) -> Any:
    if field in SEVERAL and isinstance(_as_text(content), str):
        return values_of(_as_text(content), SEPARATOR)
    if (field in SEVERAL or field == IMAGE) and isinstance(content, list):
        return [_as_text(item) for item in content if not _is_absent(item)]
    return _as_text(content) if field in (*TEXTS, *SEVERAL) else content


def _as_text(content: Any) -> Any:
    return text_of(content) if isinstance(content, int | float) and not isinstance(content, bool) else content


def _is_absent(content: Any) -> bool:
    """Null, and the NaN by which data frames say so."""
    return content is None or content != content


def as_written(value: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The object of JSON itself, for files that Melder alone writes: null there says something.

    Args:
        value: An object of JSON.
        number: Of its line.

    Returns:
        By field.
    """
    return dict(value)


def plain(value: Mapping[str, Any], number: int) -> dict[str, Any]:
    """`plain_record`, wherever the record stands.

    Args:
        value: An object of JSON.
        number: Of its line.

    Returns:
        By field.
    """
    return plain_record(value)


class OwnLayout:
    """A directory in Melder's own layout.

    Args:
        directory: Of the data set.
    """

    name = "own"
    notes: tuple[str, ...] = ()
    field_names: Mapping[str, str] = {}  # the records' own
    feature_keys: Mapping[str, str] | None = None

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.entity_file = directory / "entities.jsonl"
        self.entity_pictures = self.mention_pictures = directory

    @staticmethod
    def recognises(directory: Path) -> bool:
        return (directory / "entities.jsonl").is_file()

    @property
    def has_splits(self) -> bool:
        """Whether there are mentions, or entities only."""
        return any(self.split_file(split) for split in ("train", "dev", "test"))

    def entities(self, problems: Problems) -> Iterator[tuple[int, Entity]]:
        """Well-formed entities with their line numbers; the others go to `problems`."""
        return read_lines(self.entity_file, Entity, problems)

    def split_file(self, split: str) -> Path | None:
        """The file of a split, None when there is none."""
        path = self.directory / f"{split}.jsonl"
        return path if path.is_file() else None

    def mentions(self, split: str, path: Path, problems: Problems) -> Iterator[tuple[int, Mention]]:
        """Well-formed mentions with their line numbers; the others go to `problems`."""
        return read_lines(path, Mention, problems)


def parse_lines(
    lines: Iterable[bytes], file: str, model: type[Record], problems: Problems, complete: Complete = plain
) -> Iterator[tuple[int, Record]]:
    """Records of JSON Lines with their line numbers. Blank lines are passed over.

    Args:
        lines: Without their ends.
        file: Its name, for messages.
        model: The record's class.
        problems: Takes every line that is not a record.
        complete: Makes an object that is no record one, where it can.

    Yields:
        Numbers from 1 on, and records.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = _validated(line, number, model, complete)
        except ValidationError as error:
            problems.add(file, number, _encoding_fault(line) or describe(error, model))
        else:
            yield number, record


def _validated(line: bytes, number: int, model: type[Record], complete: Complete) -> Record:
    try:
        return model.model_validate_json(line, strict=True)
    except ValidationError:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict) or (completed := complete(value, number)) == value:
            raise
    return model.model_validate_json(json.dumps(completed), strict=True)


def read_lines(path: Path, model: type[Record], problems: Problems) -> Iterator[tuple[int, Record]]:
    """Records of a file of JSON Lines with their line numbers.

    Args:
        path: Of the file.
        model: The record's class.
        problems: Takes every line that is not a record.

    Returns:
        Numbers from 1 on, and records.

    Raises:
        MelderError: The file cannot be read.
    """
    return parse_lines(read_bytes(path).split(b"\n"), str(path), model, problems)


def _encoding_fault(line: bytes) -> list[Fault]:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return [("", f"is not UTF-8 at byte {error.start + 1} of the line; save the file as UTF-8")]
    return []


LAYOUT = Layout(
    "entities.jsonl (Melder's layout)",
    OwnLayout.recognises,
    lambda directory, text_field: OwnLayout(directory),
    entities_only=lambda directory: not OwnLayout(directory).has_splits,
)
