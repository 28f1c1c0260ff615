"""A file of entities, JSON or a table, and the directory of their pictures: what a knowledge base is built from."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from melder.data.dataset import entity_faults, inside
from melder.data.json_columns import with_columns
from melder.data.json_records import read_json
from melder.data.merging import merged
from melder.data.own import plain
from melder.data.picture_names import PictureNames, file_of, is_address, leads_out
from melder.data.tables.language_columns import fields_by_language
from melder.data.tables.options import Notes, TableOptions
from melder.data.tables.rows import FORMATS, FileRows
from melder.data.tables.sparql import is_sparql_json
from melder.data.tables.table import Table
from melder.io.problems import Fault, Problems, describe
from melder.names import folded
from melder.records import Entity, MelderError, counted

__all__ = ["EntityFile"]

JSON = (".jsonl", ".json", ".ndjson", ".srj")  # .srj: results of SPARQL queries
FIELDS = ("id", "name", "aliases", "description", "types", "images")
SEVERAL = ("aliases", "types", "images")
NEEDS = (("id",), ("name", "aliases", "description"))
OTHER_TABLES = (".xls", ".xlsb", ".ods", ".numbers")
OTHER_SPELLING = (
    "{} [picture is|pictures are] there under another spelling (Unicode, %20, backslashes, case), and [is|are] taken"
)
ADDRESSES = "{} [picture is an address|pictures are addresses], and no file of that name is there: Melder fetches none"
NAMED_BY_ID = (
    "{} [name is the entity's id|names are the entities' ids]: good if texts call [it|them] that (Asparagus), of no "
    "use where a label is wanting (Q123)"
)
ROUNDED_IDS = (
    "{} [id is a rounded number|ids are rounded numbers] such as 1.2E+15: format the column as text before saving it"
)
LINK = "is a symbolic link out of the directory of pictures; copy the picture there, or name the other with --images"
FLOAT_IDS = (
    "{} [id ends|ids end] in .0, as whole numbers do that went through a program which takes them for fractions; "
    "elsewhere [it|they] may be written without it"
)
_FLOAT = re.compile(r"\d+\.0")
_ROUNDED = re.compile(r"\d(\.\d+)?E\+\d+")  # a long number as Excel writes it: its last digits are lost


class EntityFile:
    """Entities that are read again each time they are asked for, and never held together (but for `merge_rows`).

    Args:
        path: .jsonl, .json, .csv, .tsv, .xlsx or .parquet
        images: the directory of their pictures, by default that of the file
        options: how a table is to be read

    Attributes:
        name: what messages call it
        notes: what the last `check` noted of how the file was read
    """

    def __init__(self, path: str | Path, images: str | Path | None = None, options: TableOptions | None = None) -> None:
        path, images = Path(path), None if images is None else Path(images)
        suffix = path.suffix.lower()
        if path.is_dir():
            raise MelderError(f"{path}: is a directory; name a file of entities, JSON Lines or a table")
        if not path.is_file():
            raise MelderError(f"{path}: there is no such file; name a file of entities, JSON Lines or a table")
        if suffix in OTHER_TABLES:
            raise MelderError(f"{path}: {suffix} is not read; save the table as .xlsx, or as CSV UTF-8")
        if suffix not in (*JSON, *FORMATS):
            endings = ", ".join((*JSON, *FORMATS))
            raise MelderError(f"{path}: is none of {endings}; give it the name of what is in it")
        if images is not None and not images.is_dir():
            raise MelderError(f"{images}: is no directory; name the one that holds the entities' pictures")
        self.path = path
        self.name = str(path)
        self.images = images or path.parent
        self.options = options or TableOptions()
        self.notes: tuple[str, ...] = ()

    def entities(self, problems: Problems, notes: Notes | None = None) -> Iterator[tuple[int, Entity]]:
        """Good entities with the numbers of their lines or rows; what is none, or repeats an id, goes to `problems`.

        A picture's name becomes that of the file that it means; addresses of which there is no file are left out.
        """
        notes = Notes() if notes is None else notes
        first_rows: dict[str, int] = {}
        try:
            for number, record in self._merged(problems, notes):
                entity = self._with_files(record, notes)
                if faults := entity_faults(entity, first_rows, {}, counted(self.name)):
                    problems.add(self.name, number, self._with_remedy(faults, entity, first_rows))
                else:
                    yield number, entity
                first_rows.setdefault(entity.id, number)
        except OSError as error:
            raise MelderError(
                f"{self.path}: cannot be read ({error.strerror}); check the path and its rights"
            ) from None

    def check(self, *, images: bool = True, look: Callable[[Entity], None] | None = None) -> tuple[int, Problems]:
        """Read the file through: the number of good entities, and everything that is wrong.

        An entity with a picture that is not there counts as good, and the picture as wrong; `images` False does not
        look for them. `look` is given each good entity.

        Raises:
            MelderError: There is nothing in the file.
        """
        problems, notes, count = Problems(), Notes(), 0
        for number, entity in self.entities(problems, notes):
            count += 1
            _note(entity, notes)
            if look is not None:
                look(entity)
            if images and (faults := self._missing(entity)):
                problems.add(self.name, number, faults, taken=self.options.lenient)
        self.notes = tuple(notes)
        if not count and not problems.records:
            raise MelderError(f"{self.name}: is empty; write at least one entity")
        return count, problems

    def entity_image(self, path: str) -> Path:
        """Where a picture that an entity names is.

        Raises:
            MelderError: That is outside the directory.
        """
        file = inside(self.images, path)
        if leads_out(self.images, path):
            raise MelderError(f"{file}: {LINK}")
        return file

    @property
    def directory(self) -> Path:
        """Where it lies."""
        return self.path.parent

    @cached_property
    def is_table(self) -> bool:
        """Whether it has columns; results of queries in JSON have."""
        return self.path.suffix.lower() in FORMATS or is_sparql_json(self.path)

    @cached_property
    def table(self) -> Table:
        """The file as a table."""
        return Table(FileRows.of(self.path, self.options), FIELDS, NEEDS, SEVERAL, self.options)

    @cached_property
    def picture_names(self) -> PictureNames:
        """The files below the directory of pictures."""
        return PictureNames(self.images)

    def _merged(self, problems: Problems, notes: Notes) -> Iterator[tuple[int, Entity]]:
        records = self._records(problems, notes)
        if self.options.merge_rows or (self.is_table and self._is_wikidata):
            return merged(records, notes)
        return records

    @cached_property
    def _is_wikidata(self) -> bool:
        header = self.table.header(Notes())
        return header is not None and header.wikidata

    def _records(self, problems: Problems, notes: Notes) -> Iterator[tuple[int, Entity]]:
        if not self.is_table:
            yield from self._objects(problems, notes)
            return
        self._check_texts()
        for number, values in self.table.rows(problems, notes):
            try:
                yield number, Entity.model_validate({"id": "", **fields_by_language(values)})
            except ValidationError as error:
                problems.add(self.name, number, describe(error, Entity))

    def _objects(self, problems: Problems, notes: Notes) -> Iterator[tuple[int, Entity]]:
        columns, name = self.options.columns, str(self.path)
        if self.options.sheet is not None:
            raise MelderError(f"--sheet {self.options.sheet}: {name} has no sheets; leave the option out")
        complete = with_columns(plain, columns, FIELDS, notes) if columns else plain
        with self.path.open("rb") as file:
            yield from read_json(file, name, Entity, problems, complete, completes_all=bool(columns))

    def _check_texts(self) -> None:
        header = self.table.header(Notes())
        if header is not None and not header.fields & {"name", "aliases", "description"}:
            raise MelderError(
                f"{self.table.place(header.row)}: has neither a column 'name' nor 'description'; say which column "
                f"holds the names with --column name=HEADER (the headers are {', '.join(header.names)})"
                f"{self.table.source.remedy}"
            )

    def linked_entities(self, problems: Problems, notes: Notes) -> Iterator[tuple[int, Entity]]:
        """All records, a picture's address as the name of the file behind it, whether that is there or not."""
        for number, entity in self._merged(problems, notes):
            images = tuple(file_of(name) if is_address(name) else name for name in entity.images)
            yield number, entity.model_copy(update={"images": tuple(dict.fromkeys(images))})

    def _with_files(self, entity: Entity, notes: Notes) -> Entity:
        images = tuple(file for name in entity.images if (file := self._file_of(name, notes)) is not None)
        return entity if images == entity.images else entity.model_copy(update={"images": images})

    def _file_of(self, name: str, notes: Notes) -> str | None:
        if self.picture_names.is_there(name):
            return name
        file = self.picture_names.located(name)
        if file is not None:
            notes.add(OTHER_SPELLING)
            return file
        if is_address(name):
            notes.add(ADDRESSES)
            return None
        return name

    def _with_remedy(self, faults: list[Fault], entity: Entity, first_rows: dict[str, int]) -> list[Fault]:
        if entity.id not in first_rows or not self.is_table:
            return faults
        (field, message), *others = faults
        return [(field, f"{message}, or make such rows one with --merge-rows"), *others]

    def _missing(self, entity: Entity) -> list[Fault]:
        names = [name for name in entity.images if not os.path.isfile(self.images / name)]
        faults = [("images", f"there is no file {str(self.images / name)!r}; {self._remedy(name)}") for name in names]
        links = [name for name in entity.images if name not in names and leads_out(self.images, name)]
        return faults + [("images", f"{str(self.images / name)!r} {LINK}") for name in links]

    def _remedy(self, name: str) -> str:
        similar = self.picture_names.alike(name)
        return f"is it one of {', '.join(map(repr, similar[:3]))}?" if similar else "correct it or leave it out"


def _note(entity: Entity, notes: Notes) -> None:
    """What a table often holds, and seldom should."""
    if entity.name and folded(entity.name) == folded(entity.id):
        notes.add(NAMED_BY_ID)
    if _ROUNDED.fullmatch(entity.id):
        notes.add(ROUNDED_IDS)
    if _FLOAT.fullmatch(entity.id):
        notes.add(FLOAT_IDS)
