"""The rows of a query to a database, by SQLAlchemy: `pip install melder[sql]`, and the driver of the database.

The query runs once. Its rows come in blocks, by a cursor that stays at the server where the driver has one, and are
laid down in a temporary file, which is what is then read, as often as need be: nothing is held in memory, the database
is not kept waiting while entities are encoded, and all of a build is of one state of it.
"""

from __future__ import annotations

import json
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from melder.data.tables.cells import Cell, Row, text_of
from melder.data.tables.options import Notes
from melder.io.addresses import without_password
from melder.io.problems import Fault, Problems
from melder.records import MelderError

__all__ = ["QueryRows"]

BLOCK = 1000  # rows that come from the database together
HEADER = 0  # the number of what is no row of the database
READ_ONLY = {  # of databases whose DROP TABLE would last without a commit
    "sqlite": "PRAGMA query_only = ON",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
}
TEXTS = (str, int, float, Decimal, UUID)


class QueryRows:
    """The rows of a query, numbered from 1 behind the names of the columns. Fulfils `RowSource`.

    Args:
        url: Of the database, as SQLAlchemy has it; its password is in no message and in no file.
        query: A SELECT.
    """

    def __init__(self, url: str, query: str) -> None:
        self._url, self._query = url, query
        self._staged: IO[bytes] | None = None
        self._faults: list[tuple[int, list[Fault]]] = []

    def __getstate__(self) -> dict[str, Any]:
        """What goes to other processes, where nothing is read of the database: no password."""
        return {"_url": self.name, "_query": self._query, "_staged": None, "_faults": []}

    @property
    def name(self) -> str:
        return without_password(self._url)

    @property
    def remedy(self) -> str:
        return ""

    def rows(self, problems: Problems, notes: Notes) -> Iterator[Row]:
        """A value that is no text goes to `problems`, with its column, and its row is left out."""
        staged = self._staged or self._stage()
        for number, faults in self._faults:
            problems.add(self.name, number, faults)
        position = 0
        while True:
            staged.seek(position)  # others may read meanwhile
            line = staged.readline()
            if not line:
                return
            position = staged.tell()
            number, cells = json.loads(line)
            yield number, [tuple(cell) if isinstance(cell, list) else cell for cell in cells]

    def _stage(self) -> IO[bytes]:
        staged = tempfile.TemporaryFile(prefix="melder-query-")  # noqa: SIM115, for it is read until nobody has this
        weakref.finalize(self, staged.close)
        self._faults.clear()
        for number, values in enumerate(self._answer(), HEADER):
            if number == HEADER:
                columns = [str(value) for value in values]
                cells: list[Cell] = list(columns)
            else:
                cells, faults = _cells(columns, values)
                if faults:
                    self._faults.append((number, faults))
                    continue
            staged.write(json.dumps([number, cells]).encode() + b"\n")
        self._staged = staged
        return staged

    def _answer(self) -> Iterator[Sequence[Any]]:
        """The names of the columns, then the rows."""
        try:
            from sqlalchemy import create_engine
            from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
        except ImportError:
            raise MelderError("--from-sql needs the package SQLAlchemy: pip install 'melder[sql]'") from None
        try:
            engine = create_engine(self._url)
        except ModuleNotFoundError as error:
            raise MelderError(f"{self.name}: needs its driver {error.name}; install that") from None
        except (ArgumentError, NoSuchModuleError, ValueError):
            example = "postgresql+psycopg://USER@HOST/DATABASE or sqlite:///FILE"
            raise MelderError(f"{self.name}: is no URL of a database that SQLAlchemy knows; write {example}") from None
        if engine.dialect.name == "sqlite" and engine.url.database and not Path(engine.url.database).is_file():
            raise MelderError(f"{self.name}: there is no such file")  # SQLite would make one
        try:
            yield from _rows_of(engine, self._query)
        except SQLAlchemyError as error:
            raise MelderError(
                f"{self.name}: the query failed ({self._reason(error)}); correct --query or the URL"
            ) from None
        finally:
            engine.dispose()

    def _reason(self, error: Exception) -> str:
        """The first line of what the driver says, without the password."""
        from sqlalchemy import make_url

        said = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
        password = make_url(self._url).password
        line = without_password(said.splitlines()[0])
        return line.replace(str(password), "***") if password else line


def _rows_of(engine: Any, query: str) -> Iterator[Sequence[Any]]:
    options = {"stream_results": True, "max_row_buffer": BLOCK, "no_parameters": True}
    if engine.dialect.name == "postgresql":
        options["postgresql_readonly"] = True
    with engine.connect() as connection:  # nothing is committed
        if statement := READ_ONLY.get(engine.dialect.name):
            connection.exec_driver_sql(statement)
        result = connection.execution_options(**options).exec_driver_sql(query)
        if not result.returns_rows:
            raise MelderError("--query: gives no rows; write a SELECT")
        yield list(result.keys())
        for block in result.partitions(BLOCK):
            yield from block


def _cells(columns: Sequence[str], values: Sequence[Any]) -> tuple[list[Cell], list[Fault]]:
    """The values as a table in text has them, and what is wrong with those that cannot be."""
    cells, faults = list[Cell](), list[Fault]()
    for column, value in zip(columns, values, strict=True):
        if _is_text(value):
            cells.append(_text_of(value))
        else:
            kind = type(value).__name__
            faults.append((column, f"is of the type {kind}, and no text or list of texts; cast it in the query"))
    return cells, faults


def _is_text(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(item is None or isinstance(item, TEXTS) for item in value)
    return value is None or isinstance(value, TEXTS) or hasattr(value, "isoformat")


def _text_of(value: Any) -> Cell:
    if isinstance(value, list | tuple):
        return text_of([_text_of(item) for item in value])
    return format(value, "f") if isinstance(value, Decimal) else text_of(value)
