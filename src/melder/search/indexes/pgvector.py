"""An index that PostgreSQL holds, with its extension pgvector: `pip install melder[pgvector]`, then `pgvector`.

Which database it is, libpq's own variables say (PGHOST, PGDATABASE, PGUSER, PGPASSWORD, PGSERVICE …, and ~/.pgpass) or
MELDER_PGVECTOR_DSN, a connection string. Neither is part of a command line, of a saved index or of a message.

A table is named after the vectors in it. The same knowledge base finds its table again and sends nothing; another one,
or the same after a change, has its own. Numbers have half precision where the extension knows that (from 0.7 on).
"""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from melder.protocols import Counting, Nearest, TypeNames
from melder.records import MelderError
from melder.search.indexes.databases import collection_name, read_description, stored_lift, write_description
from melder.search.indexes.lifted import MipsToCosine

if TYPE_CHECKING:
    from psycopg.sql import Composed

__all__ = ["PgvectorIndex"]

DSN = "MELDER_PGVECTOR_DSN"
SECONDS = 10  # until a database that gives no sign cannot be reached
DESCRIPTION = "pgvector.json"
TABLE = re.compile(r"melder_[0-9a-f]{24}(_half)?")
HALF_FROM = (0, 7)  # versions that know half precision
GRAPH_FROM = 20_000  # vectors of which a graph is made; reading all of fewer takes milliseconds
GRAPH_WIDTH = {"vector": 2000, "halfvec": 4000}  # numbers of a vector that a graph can hold
BREADTH, LEAST, MOST = 2, 200, 1000  # candidates that a search in a graph keeps: for each wanted, and in all


class PgvectorIndex:
    """A table of lifted vectors with their types.

    Args:
        database: Where the table is.
        table: Its name; its rows are those of the entities.
        kind: The type of its vectors, `vector` or `halfvec`.
        lift: What makes the largest product the nearest.
        rows: Vectors that were put in, also those that were removed since.
    """

    keeps_vectors, filters_types, tells_products = False, True, False

    def __init__(self, database: Postgres, table: str, kind: str, lift: MipsToCosine, rows: int) -> None:
        self.database = database
        self.table = table
        self.kind = kind
        self.lift = lift
        self.rows = rows
        self.types: TypeNames | None = None  # of what is found

    @classmethod
    def build(
        cls,
        vectors: Tensor,
        options: str = "",
        types: Sequence[tuple[str, ...]] | None = None,
        counting: Counting | None = None,
    ) -> PgvectorIndex:
        """`types` are those of each entity, for searches among some types only.

        Raises:
            MelderError: With options, without pgvector, and when the database cannot be reached.
        """
        if options:  # which may hold a password, and are not repeated
            raise MelderError(f"pgvector: takes the database from {DSN}, or PGHOST …; write pgvector alone")
        database, lift = Postgres(), MipsToCosine.of(vectors)
        with database.transaction() as connection:
            kind = _vector_kind(connection)
            table = collection_name(vectors, types) + ("_half" if kind == "halfvec" else "")
            index = cls(database, table, kind, lift, len(vectors))
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [table])  # one process writes it
            if not index._is_whole(connection):
                index._create(connection)
                index._write(connection, 0, vectors, types)
                index._make_graph(connection)
        return index

    @classmethod
    def open(cls, path: Path) -> PgvectorIndex:
        described = read_description(path, DESCRIPTION, {"table": str, "kind": str, "rows": int})
        if not TABLE.fullmatch(described["table"]) or described["kind"] not in GRAPH_WIDTH:
            raise MelderError(f"{path / DESCRIPTION}: names no table of such an index; build it again")
        index = cls(Postgres(), described["table"], described["kind"], stored_lift(described), described["rows"])
        with index.database.transaction() as connection:
            if not index._is_there(connection):
                raise MelderError(f"pgvector: the database has no table {index.table} any more; build the index again")
        return index

    def save(self, path: Path) -> None:
        """What finds the table again; the vectors stay in the database."""
        described = {"table": self.table, "kind": self.kind, "rows": self.rows}
        write_description(path, DESCRIPTION, self.lift, described)

    def add(self, vectors: Tensor, types: Sequence[tuple[str, ...]] | None = None) -> None:
        """Vectors longer than those that it was built of, by more than a little, raise MelderError."""
        with self.database.transaction() as connection:
            self._write(connection, self.rows, vectors, types)
        self.rows += len(vectors)

    def remove(self, rows: np.ndarray) -> None:
        with self.database.transaction() as connection:
            gone = [np.unique(rows).tolist()]
            connection.execute(self._sql('DELETE FROM {table} WHERE "row" = ANY(%s::bigint[])'), gone)

    def only(self, types: TypeNames) -> PgvectorIndex:
        """The same table, in which just the entities of these types are found, as far as PostgreSQL can tell them."""
        if not all(map(_is_kept, types.names)):
            return self
        chosen = copy(self)
        chosen.types = types
        return chosen

    def search(self, query: Tensor, k: int) -> Nearest:
        wanted = min(k, self.rows)
        if not wanted:
            return Nearest(np.zeros(0, np.int64), None)
        graph = self._has_graph and self.types is None and wanted * BREADTH <= MOST
        with self.database.transaction() as connection:
            if graph:
                breadth = str(max(wanted * BREADTH, LEAST))
                connection.execute("SELECT set_config('hnsw.ef_search', %s, true)", [breadth])
            else:
                connection.execute("SET LOCAL enable_indexscan = off")  # that by types is read as a bitmap
            found = connection.execute(*self._nearest(_text(self.lift.query(query)), wanted, by_graph=graph))
            return Nearest(np.array([row for (row,) in found], dtype=np.int64), None)

    def _nearest(self, vector: str, wanted: int, *, by_graph: bool) -> tuple[Composed, list[Any]]:
        """The question for so many rows, and its values. An order by more than the distance uses no graph."""
        if by_graph:
            inner = 'SELECT "row", vector <#> %s::{kind} AS far FROM {table} ORDER BY far LIMIT %s'
            return self._sql(f'SELECT "row" FROM ({inner}) AS nearest ORDER BY far, "row"'), [vector, wanted]
        order = 'ORDER BY vector <#> %s::{kind}, "row" LIMIT %s'
        if self.types is None:
            return self._sql(f'SELECT "row" FROM {{table}} {order}'), [vector, wanted]
        among = f"types {'@>' if self.types.every else '&&'} %s::text[]"
        values = [list(self.types.names), vector, wanted]
        return self._sql(f'SELECT "row" FROM {{table}} WHERE {among} {order}'), values

    @property
    def _has_graph(self) -> bool:
        return self.rows >= GRAPH_FROM and self.lift.width < GRAPH_WIDTH[self.kind]

    def _write(self, connection: Any, first: int, vectors: Tensor, types: Sequence[tuple[str, ...]] | None) -> None:
        with connection.cursor() as cursor, cursor.copy(self._sql("COPY {table} FROM STDIN")) as copied:
            for row, vector in enumerate(self.lift.vectors(vectors)):
                copied.write_row((first + row, _text(vector), [] if types is None else _kept(types[row])))

    def _is_there(self, connection: Any) -> bool:
        return connection.execute("SELECT to_regclass(%s)", [self.table]).fetchone()[0] is not None

    def _is_whole(self, connection: Any) -> bool:
        """Whether the table is there with as many vectors as it is to have; one that was changed is removed."""
        if not self._is_there(connection):
            return False
        there = connection.execute(self._sql("SELECT count(*) FROM {table}")).fetchone()[0]
        if there != self.rows:
            connection.execute(self._sql("DROP TABLE {table}"))
        return bool(there == self.rows)

    def _create(self, connection: Any) -> None:
        columns = '"row" bigint PRIMARY KEY, vector {kind}({width}) NOT NULL, types text[] NOT NULL'
        connection.execute(self._sql("CREATE TABLE {table} (" + columns + ")"))
        connection.execute(self._sql("CREATE INDEX ON {table} USING gin (types)"))

    def _make_graph(self, connection: Any) -> None:
        if self._has_graph:
            connection.execute(self._sql("CREATE INDEX ON {table} USING hnsw (vector {operators})"))

    def _sql(self, statement: str) -> Composed:
        """A statement with the table's name, and of vectors the kind, the width and the operators of a graph."""
        from psycopg.sql import SQL, Identifier, Literal

        kind, operators = Identifier(self.kind), Identifier(f"{self.kind}_ip_ops")
        width = Literal(self.lift.width + 1)
        # All texts that come here are this file's own.
        return SQL(statement).format(  # type: ignore[arg-type]
            table=Identifier(self.table), kind=kind, width=width, operators=operators
        )


class Postgres:
    """A connection to the database of the environment, which is made again when it has ended; any thread may use it,
    one at a time."""

    def __init__(self) -> None:
        self._connection = self._connected()
        self._lock = RLock()  # a transaction of another thread would become a part of this one's

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A connection inside a transaction, of which all is done or nothing.

        Raises:
            MelderError: The database fails.
        """
        from psycopg import Error

        try:
            with self._lock:
                if self._connection.closed:
                    self._connection = self._connected()
                with self._connection.transaction():
                    yield self._connection
        except Error as error:
            reason = error.diag.message_primary or type(error).__name__
            raise MelderError(f"pgvector: the database failed ({reason}); see to it and try again") from None

    def _connected(self) -> Any:
        try:
            from psycopg import Error, connect
        except ImportError:
            raise MelderError("pgvector needs its package: pip install melder[pgvector]") from None
        try:
            connection = connect(os.environ.get(DSN, ""), autocommit=True, connect_timeout=SECONDS)
        except Error as error:
            reason = _reason(error)
            raise MelderError(
                f"pgvector: the database cannot be reached ({reason}); check {DSN}, or PGHOST …"
            ) from None
        weakref.finalize(self, connection.close)
        return connection


def _reason(error: Exception) -> str:
    """Why there is no connection, without names and addresses: what is behind `failed:`, with stars for what is
    quoted."""
    from psycopg import ProgrammingError

    if isinstance(error, ProgrammingError):  # which repeats the whole string
        return "its connection string is none"
    text = " ".join(str(error).split()).rpartition("failed: ")[2]
    return re.sub(r"\"[^\"]*\"|'[^']*'", "***", text)[:120]


def _vector_kind(connection: Any) -> str:
    """How vectors are stored, by the version of the extension, which is made where it is not there."""
    asked = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    version = connection.execute(asked).fetchone()
    if version is None:
        connection.execute("CREATE EXTENSION vector")
        version = connection.execute(asked).fetchone()
    return kind_of(version[0])


def kind_of(version: str) -> str:
    """The type of vectors in a version of the extension."""
    return "halfvec" if tuple(map(int, version.split(".")[:2])) >= HALF_FROM else "vector"


def _text(vector: np.ndarray) -> str:
    return str(vector.tolist())


def _kept(types: Sequence[str]) -> list[str]:
    return [name for name in types if _is_kept(name)]


def _is_kept(name: str) -> bool:
    """Whether PostgreSQL can hold a text, which may not have a NUL."""
    return "\0" not in name
