"""The entities of a knowledge base as a file that one can be built of again."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from melder.data.by_language import LABELS
from melder.io.atomic import replacing
from melder.kb import KnowledgeBase
from melder.protocols import Progress
from melder.records import Entity

__all__ = ["FORMATS", "export_entities"]

FORMATS = (".jsonl", ".csv")
_FIELDS = ("id", "name", "aliases", "description", "types", "images")


def export_entities(base: KnowledgeBase, out: Path, images: Path | None, progress: Progress) -> int:
    """Write the records, and the pictures that the knowledge base keeps.

    Args:
        base: Is read an entity at a time.
        out: A file in one of `FORMATS`; it is replaced when all of it is written. In a table, lists are JSON.
        images: A directory for the pictures, which records then name; None = records keep the names they had.
        progress: Is told how many entities more are written.

    Returns:
        How many pictures were written.
    """
    pictures = 0
    with replacing(out) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        write = _writer(out, file, base)
        for row, entity in enumerate(base.entities):
            if images is not None:
                entity = _with_pictures(base, row, entity, images)
                pictures += len(entity.images)
            write(entity)
            progress(1)
    return pictures


def _with_pictures(base: KnowledgeBase, row: int, entity: Entity, images: Path) -> Entity:
    """The entity, which names its pictures by the files that they were written to."""
    names = []
    for number, content in _pictures(base, row, len(entity.images)):
        ending = "png" if content.startswith(b"\x89PNG") else "webp" if content[8:12] == b"WEBP" else "jpg"
        file = images / f"{row // 1000:06d}" / f"{row:09d}-{number}.{ending}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        names.append(file.relative_to(images).as_posix())
    return entity.model_copy(update={"images": tuple(names)})


def _pictures(base: KnowledgeBase, row: int, count: int) -> Iterator[tuple[int, bytes]]:
    for number in range(count):
        content = base.picture(row, number)
        if content is not None:
            yield number, content


class _Table:
    def __init__(self, file: TextIO, columns: Sequence[tuple[str, str]]) -> None:
        """columns: (field, language) of those in a language"""
        self._rows, self._columns = csv.writer(file), columns
        self._rows.writerow([*_FIELDS, *(f"{field}@{tag}" for field, tag in columns)])

    def __call__(self, entity: Entity) -> None:
        values = [_cell(getattr(entity, name)) for name in _FIELDS]
        texts = [getattr(entity, LABELS[field]).get(tag, "") for field, tag in self._columns]
        self._rows.writerow([*values, *texts])


class _Lines:
    def __init__(self, file: TextIO) -> None:
        self._file = file

    def __call__(self, entity: Entity) -> None:
        self._file.write(f"{entity.model_dump_json()}\n")


def _writer(out: Path, file: TextIO, base: KnowledgeBase) -> _Table | _Lines:
    return _Table(file, _language_columns(base)) if out.suffix.lower() == ".csv" else _Lines(file)


def _language_columns(base: KnowledgeBase) -> list[tuple[str, str]]:
    """The fields and languages in which any entity has a text; the records are read through for them."""
    columns = {
        (field, tag): None
        for entity in base.entities
        for field, texts in LABELS.items()
        for tag in getattr(entity, texts)
    }
    return sorted(columns)


def _cell(value: str | tuple[str, ...]) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if value else ""
