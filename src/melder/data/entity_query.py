"""Entities that a query to a database gives, and the directory of their pictures."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from melder.data.entity_file import FIELDS, NEEDS, SEVERAL, EntityFile
from melder.data.tables.options import TableOptions
from melder.data.tables.query import QueryRows
from melder.data.tables.table import Table
from melder.records import MelderError

__all__ = ["EntityQuery"]


class EntityQuery(EntityFile):
    """Entities of a query, whose columns are those of a table of entities.

    Args:
        url: Of the database, as SQLAlchemy has it.
        query: A SELECT, which is run once, when the first entity is asked for.
        images: The directory of the pictures, by default the current one.
        options: How the rows are to be read.
    """

    is_table = True

    def __init__(
        self, url: str, query: str, images: str | Path | None = None, options: TableOptions | None = None
    ) -> None:
        self.images = Path() if images is None else Path(images)
        if not self.images.is_dir():
            raise MelderError(f"{self.images}: is no directory; name the one that holds the entities' pictures")
        self.options = options or TableOptions()
        if self.options.encoding is not None:
            raise MelderError("--encoding: is of CSV files; a database says its own")
        if self.options.sheet is not None:
            raise MelderError("--sheet: is of workbooks; name the table in --query")
        self.notes: tuple[str, ...] = ()
        self._rows = QueryRows(url, query)
        self.name = self._rows.name

    @property
    def directory(self) -> Path:
        return self.images

    @cached_property
    def table(self) -> Table:
        return Table(self._rows, FIELDS, NEEDS, SEVERAL, self.options)
