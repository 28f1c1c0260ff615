"""The entities of a segment in SQLite, with full-text search over their names and aliases.

Tables: `records` (row, id, record as JSON), `pictures` (row, number, start, size: where a picture is in pictures.bin),
`names`, an FTS5 index that has the row as its rowid and keeps no text of its own, `folded` (name, row), in which
whole names are looked up, and `unaccented` (name, row) of those that have diacritics. Both and the index hold names as
`melder.names` folds them; in a file whose user_version is 0 they are in lower case only. The file is never changed once
it is written, so that it is opened as immutable: without locks, on read-only media too.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import RLock

from melder.io.checksums import ChecksummedFile, damaged
from melder.names import folded, unaccented
from melder.records import Entity, MelderError

__all__ = ["Records", "write_records"]

AT_ONCE = 500  # ids in one query; SQLite's oldest limit is 999
MAPPED = 1 << 30  # bytes of a file that are read where they are, instead of being copied for each open file

RECORD = 1 << 24  # characters of one record
STEPS = 100_000  # of SQLite's machine, between looks at the clock: some milliseconds
SECONDS = 5.0  # for a statement over a stranger's file

_ROWS = {"folded", "unaccented", "pictures"}  # tables that name rows
_TABLES = _ROWS | {"records", "names", *(f"names_{part}" for part in ("data", "idx", "docsize", "config"))}
_PARTS = {("index", "sqlite_autoindex_records_1"), *(("table", name) for name in _TABLES)}
_ASTRAY = """
SELECT 1 FROM pictures WHERE typeof(start) != 'integer' OR typeof(size) != 'integer'
OR start < 0 OR size < 0 OR start + size > ? LIMIT 1
"""
_GENERATED = re.compile(r"\b(GENERATED|AS|CHECK|DEFAULT)\b", re.IGNORECASE)  # what would compute when it is read

_SCHEMA = """
CREATE TABLE records (row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, record TEXT NOT NULL);
CREATE TABLE pictures (row INTEGER, number INTEGER, start INTEGER, size INTEGER, PRIMARY KEY (row, number))
    WITHOUT ROWID;
CREATE VIRTUAL TABLE names USING fts5(name, content='', tokenize='unicode61 remove_diacritics 2');
CREATE TABLE folded (name TEXT, row INTEGER, PRIMARY KEY (name, row)) WITHOUT ROWID;
CREATE TABLE unaccented (name TEXT, row INTEGER, PRIMARY KEY (name, row)) WITHOUT ROWID;
PRAGMA user_version = 1;
"""

Spans = Mapping[tuple[int, int], tuple[int, int]]  # (row, number of the picture) → (first byte, bytes)


def write_records(path: Path, entities: Iterable[Entity], pictures: Spans) -> None:
    """Write a new file; rows are counted from 0 in the order given. The same entities give the same bytes.

    Args:
        path: Of the new file.
        entities: In the order of their rows.
        pictures: First byte and size of stored pictures, by row and number.

    Raises:
        MelderError: The disk does not take it.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;" + _SCHEMA)
        for row, entity in enumerate(entities):
            record = entity.model_dump_json(exclude_defaults=True)
            connection.execute("INSERT INTO records VALUES (?, ?, ?)", (row, entity.id, record))
            whole = dict.fromkeys(filter(None, map(folded, entity.names)))
            plain = dict.fromkeys(bare for name in whole if (bare := unaccented(name)) not in whole)
            connection.execute("INSERT INTO names(rowid, name) VALUES (?, ?)", (row, "\n".join(whole)))
            connection.executemany("INSERT INTO folded VALUES (?, ?)", ((name, row) for name in whole))
            connection.executemany("INSERT INTO unaccented VALUES (?, ?)", ((name, row) for name in plain))
        connection.executemany(
            "INSERT INTO pictures VALUES (?, ?, ?, ?)", ((*key, *at) for key, at in pictures.items())
        )
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        raise MelderError(f"{path}: cannot be written ({error}); make room there") from None
    finally:
        connection.close()


class Records:
    """The records of one segment; the file is checked as a whole when it is first read. Threads may share it.

    Args:
        checked: The file, and what it should hold.
        trusted: Otherwise a statement that takes long, as a file made for that could have it, is ended.
    """

    def __init__(self, checked: ChecksummedFile, *, trusted: bool = True) -> None:
        self.checked = checked
        self._trusted = trusted
        self._connection: sqlite3.Connection | None = None
        self._begun = 0.0  # the statement that is running, by the clock
        self._lock = RLock()

    def entities(self, rows: Sequence[int]) -> list[Entity]:
        """The entities of some rows, in the order asked for."""
        records = dict(self._among("SELECT row, record FROM records WHERE row IN", rows))
        try:
            return [Entity.model_validate_json(records[row]) for row in rows]
        except (KeyError, ValueError, TypeError):
            raise damaged(self.checked.path, "holds a row that is no entity") from None

    def rows(self, identities: Sequence[str]) -> dict[str, int]:
        """The row of each id that is here."""
        return dict(self._among("SELECT id, row FROM records WHERE id IN", identities))

    def typed(self, types: Sequence[str], *, every: bool) -> list[int]:
        """Rows that have any of the types, or with `every` all of them."""
        sql = """
            SELECT row FROM records, json_each(record, '$.types') AS type
            WHERE type.value IN (SELECT value FROM json_each(?)) GROUP BY row HAVING count(DISTINCT type.value) >= ?
        """
        least = len(set(types)) if every else 1
        return [row for (row,) in self._all(sql, (json.dumps(list(types)), least))]  # type: ignore[misc]

    def picture(self, row: int, number: int) -> tuple[int, int] | None:
        """Where a picture is: its first byte and its size; None when it was not stored."""
        places = self._all("SELECT start, size FROM pictures WHERE row = ? AND number = ?", (row, number))
        return places[0] if places else None  # type: ignore[return-value]

    def pictures(self, row: int) -> list[int]:
        """The numbers of the pictures of a row that were stored."""
        return [number for (number,) in self._all("SELECT number FROM pictures WHERE row = ?", (row,))]  # type: ignore[misc]

    def named(self, name: str) -> list[int]:
        """Rows with just this name, as names are compared, in ascending order."""
        if not self._is_folded:
            return self._named_in_lower_case(name)
        sql = "SELECT row FROM folded WHERE name = ? ORDER BY row"
        return [row for (row,) in self._all(sql, (folded(name),))]  # type: ignore[misc]

    def named_but_for_accents(self, name: str) -> list[int]:
        """Rows with this name when diacritics do not count, in ascending order; none of files of earlier versions."""
        if not self._is_folded:
            return []
        sql = (
            "SELECT row FROM folded WHERE name IN (?, ?) "
            "UNION SELECT row FROM unaccented WHERE name IN (?, ?) ORDER BY row"
        )
        # As it is written too: earlier versions took fewer letters for one.
        return [row for (row,) in self._all(sql, [unaccented(name), folded(name)] * 2)]  # type: ignore[misc]

    def search(self, query: str, limit: int) -> list[tuple[int, float]]:
        """Rows whose names have every word of the query, the last one perhaps only begun; the higher the better."""
        text = folded(query) if self._is_folded else query
        words = ['"' + word.replace('"', '""') + '"' for word in text.replace("\0", " ").split()]
        if not words:
            return []
        sql = "SELECT rowid, -bm25(names) FROM names WHERE names MATCH ? ORDER BY bm25(names), rowid LIMIT ?"
        hits = self._all(sql, (" ".join(words) + " *", limit))
        rows = [] if self._trusted else [row for row, _ in hits]
        if len(dict(self._among("SELECT row, id FROM records WHERE row IN", rows))) < len(rows):
            raise damaged(self.checked.path, "has names of rows that are not there")
        return hits  # type: ignore[return-value]

    def check(self, rows: int, pictures: int) -> None:
        """Check a stranger's database as far as what is read of it goes.

        Args:
            rows: There have to be so many entities.
            pictures: Bytes of the file of pictures.

        Raises:
            MelderError: It has something beside its tables, or rows that lead elsewhere.
        """
        parts = self._all("SELECT type, name, coalesce(sql, '') FROM sqlite_master", ())
        for kind, name, sql in parts:
            if (kind, name) not in _PARTS or _GENERATED.search(str(sql)):
                raise damaged(self.checked.path, f"has {name!r}, which is no table of Melder")
        counts = self._all("SELECT count(*), min(row), max(row), max(length(record)) <= ? FROM records", (RECORD,))
        if counts != [(rows, 0, rows - 1, 1)]:
            raise damaged(self.checked.path, f"has not the {rows} rows that it should have")
        queries = [
            (f"SELECT 1 FROM {name} WHERE typeof(row) != 'integer' OR row < 0 OR row >= ? LIMIT 1", rows)
            for name in sorted(_ROWS & {str(name) for _, name, _ in parts})
        ]
        queries += [("SELECT 1 FROM names_docsize WHERE id < 0 OR id >= ? LIMIT 1", rows), (_ASTRAY, pictures)]
        if any(self._all(query, (limit,)) for query, limit in queries):
            raise damaged(self.checked.path, "has names or pictures of rows that are not there")

    @property
    def _is_folded(self) -> bool:
        """Whether names are stored as `melder.names` folds them; earlier ones are in lower case only."""
        return self._all("PRAGMA user_version", ()) != [(0,)]

    def _named_in_lower_case(self, name: str) -> list[int]:
        whole = _in_lower_case(name)
        if self._all("SELECT 1 FROM sqlite_master WHERE name = 'folded'", ()):
            return [row for (row,) in self._all("SELECT row FROM folded WHERE name = ? ORDER BY row", (whole,))]  # type: ignore[misc]
        rows = sorted(row for row, _ in self.search(name, -1))  # of a file that was written before there was the table
        found = zip(rows, self.entities(rows), strict=True)
        return [row for row, entity in found if whole in map(_in_lower_case, entity.names)]

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _among(self, sql: str, values: Sequence[object]) -> Iterator[tuple]:  # type: ignore[type-arg]
        for start in range(0, len(values), AT_ONCE):
            batch = values[start : start + AT_ONCE]
            yield from self._all(f"{sql} ({','.join('?' * len(batch))})", batch)

    def _all(self, sql: str, values: Sequence[object]) -> list[tuple[object, ...]]:
        with self._lock:
            self._begun = time.monotonic()
            try:
                return self._open().execute(sql, values).fetchall()  # type: ignore[arg-type]
            except sqlite3.DatabaseError as error:
                raise damaged(self.checked.path, f"cannot be read ({error})") from None

    def _is_too_slow(self) -> bool:
        """Ends a statement that goes on for ever, as one over a view that refers to itself does."""
        return time.monotonic() - self._begun > SECONDS

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.checked.check_all()
            uri = self.checked.path.absolute().as_uri() + "?mode=ro&immutable=1"
            self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
            mapped = MAPPED if self._trusted else 0
            self._connection.executescript(f"PRAGMA mmap_size = {mapped}; PRAGMA trusted_schema = OFF")
            if not self._trusted:
                self._connection.execute("PRAGMA cell_size_check = ON")
                self._connection.set_progress_handler(self._is_too_slow, STEPS)
        return self._connection


def _in_lower_case(name: str) -> str:
    """A name as the first versions compared names: without case and without needless spaces."""
    return " ".join(name.casefold().split())
