"""A file of entities, JSON Lines or CSV, and the directory of their pictures: what a knowledge base is built from."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from pathlib import Path

from melder.data.csv_entities import read_csv
from melder.data.dataset import entity_faults, inside
from melder.data.own import parse_lines
from melder.io.problems import Fault, Problems
from melder.records import Entity, MelderError, counted

__all__ = ["EntityFile"]

READERS = (".jsonl", ".json", ".ndjson", ".csv", ".tsv")


class EntityFile:
    """Entities that are read again each time they are asked for, and never held together.

    `images` is the directory of their pictures, by default that of the file.
    """

    def __init__(self, path: Path, images: Path | None = None) -> None:
        if not path.is_file():
            raise MelderError(f"{path}: there is no such file; name a file of entities, JSON Lines or CSV")
        if path.suffix.lower() not in READERS:
            raise MelderError(f"{path}: is neither .jsonl nor .csv; give it the name of what is in it")
        if images is not None and not images.is_dir():
            raise MelderError(f"{images}: is no directory; name the one that holds the entities' pictures")
        self.path = path
        self.images = images or path.parent

    def entities(self, problems: Problems) -> Iterator[tuple[int, Entity]]:
        """Good entities with the numbers of their lines or rows; what is none, or repeats an id, goes to `problems`."""
        seen: dict[str, int] = {}
        try:
            for number, entity in self._records(problems):
                if faults := entity_faults(entity, seen, {}, counted(str(self.path))):
                    problems.add(self.path, number, faults)
                else:
                    yield number, entity
                seen.setdefault(entity.id, number)
        except OSError as error:
            raise MelderError(
                f"{self.path}: cannot be read ({error.strerror}); check the path and its rights"
            ) from None

    def check(self, *, images: bool = True) -> tuple[int, Problems]:
        """Read the file through: the number of good entities, and everything that is wrong.

        An entity with a picture that is not there counts as good, and the picture as wrong; `images` False does not
        look for them. Raises MelderError when there is nothing in the file.
        """
        problems, count = Problems(), 0
        for number, entity in self.entities(problems):
            count += 1
            if images and (faults := self._missing(entity)):
                problems.add(self.path, number, faults)
        if not count and not problems.records:
            raise MelderError(f"{self.path}: is empty; write at least one entity")
        return count, problems

    def entity_image(self, path: str) -> Path:
        """Where a picture that an entity names is. Raises MelderError when that is outside the directory."""
        return inside(self.images, path)

    def _records(self, problems: Problems) -> Iterator[tuple[int, Entity]]:
        if self.path.suffix.lower() in (".csv", ".tsv"):
            yield from read_csv(self.path, problems)
            return
        with self.path.open("rb") as file:
            if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
                file.seek(0)
            yield from parse_lines(file, str(self.path), Entity, problems)

    def _missing(self, entity: Entity) -> list[Fault]:
        files = [str(self.images / name) for name in entity.images if not os.path.isfile(self.images / name)]
        return [("images", f"there is no file {file!r}; correct it or leave it out") for file in files]
