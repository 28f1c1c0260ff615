"""Files of mentions and of links, a few at a time, in the format of their ending: JSON, Parquet or another table.

A Parquet file of mentions has the columns of a mention's fields, of which only `id` must be there. One of links has a
link's fields; `candidates` is a list of structures, and the units of a candidate are a map.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from pydantic import ValidationError

from melder.data.json_records import read_json
from melder.data.tables.options import Notes, TableOptions
from melder.io.atomic import replacing
from melder.io.problems import Problems, describe
from melder.jobs.link_table import LinkTable
from melder.jobs.mention_records import complete_mention, table_mentions, with_span
from melder.records import Decided, Link, MelderError, Mention
from melder.search.filters import Types

if TYPE_CHECKING:
    from melder.protocols import Linker

__all__ = [
    "AT_ONCE",
    "PARQUET",
    "LinkFile",
    "check_output",
    "is_lines",
    "is_parquet",
    "lines_of",
    "links_of",
    "mentions_of",
    "written",
]

AT_ONCE = 256  # mentions encoded and scored together: one pass over a knowledge base
ROWS = 4096  # links of a row group
PARQUET = ".parquet"
LINES = (".jsonl", ".ndjson")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
SHEETS = (".xlsx", ".xlsm")


class LinkFile(Protocol):
    """A file of links that is being written."""

    def write(self, links: Iterable[Link]) -> None: ...


def is_parquet(path: Path) -> bool:
    return path.suffix.lower() == PARQUET


def is_lines(path: Path) -> bool:
    return path.suffix.lower() in LINES


def check_output(path: Path) -> None:
    """Raises MelderError unless the ending of a file of links says in which format they are to be written."""
    if path.suffix.lower() not in (*LINES, *DELIMITERS, PARQUET):
        endings = ", ".join((*LINES, *DELIMITERS, PARQUET))
        raise MelderError(f"{path}: links are written as {endings}; give the file one of these endings")


def mentions_of(
    path: Path, problems: Problems, options: TableOptions | None = None, notes: Notes | None = None
) -> Iterator[Mention]:
    """The good mentions of a file, read as they are asked for; what is none goes to `problems`.

    `options` say how a table is read, and `notes` are told how it was.
    """
    try:
        if path.suffix.lower() in (*DELIMITERS, *SHEETS):
            mentions = table_mentions(path, options or TableOptions(), problems, Notes() if notes is None else notes)
        else:
            mentions = _parquet_mentions(path, problems) if is_parquet(path) else _line_mentions(path, problems)
        yield from map(with_span, mentions)
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise MelderError(f"{path}: cannot be read ({reason}); check the path and its rights") from None


def links_of(
    linker: Linker, mentions: Sequence[Mention], folder: Path, k: int, types: Types | None = None, kept: int = 0
) -> Iterator[list[Link]]:
    """Links in the order of the mentions, some at a time, but for the first `kept`, whose pictures are only read."""
    for start in range(0, len(mentions), AT_ONCE):
        group = mentions[start : start + AT_ONCE]
        items = [linker.item(mention, [folder / name for name in mention.images]) for mention in group]
        for item in items[: kept - start] if kept > start else ():
            linker.model.encoder.prepare([item])  # so that pictures that cannot be read are listed this time too
        if kept >= start + len(group):
            continue
        place = start
        for block in linker.answers(group, items, k, types):
            yield block[max(0, kept - place) :]
            place += len(block)


@contextmanager
def written(path: Path, *, decided: bool, k: int = 10) -> Iterator[LinkFile]:
    """A file of links that is there under its name when all are in it; `decided`: they have an answer, `k`: as many
    candidates have columns in a table."""
    with replacing(path) as partial:
        if is_parquet(path):
            schema = _schema(decided)
            with _parquet().ParquetWriter(partial, schema) as writer:
                yield _Table(writer, schema)
        elif delimiter := DELIMITERS.get(path.suffix.lower()):
            # Excel takes a mark for UTF-8, and its absence not.
            with partial.open("w", encoding="utf-8-sig", newline="") as file:
                yield LinkTable(file, k, decided=decided, delimiter=delimiter)
        else:
            with partial.open("w", encoding="utf-8", newline="\n") as file:
                yield _Lines(file)


class _Lines:
    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, links: Iterable[Link]) -> None:
        self.file.writelines(link.model_dump_json() + "\n" for link in links)


class _Table:
    def __init__(self, writer: Any, schema: Any) -> None:
        self.writer, self.schema = writer, schema

    def write(self, links: Iterable[Link]) -> None:
        import pyarrow

        waiting = iter(links)
        while some := [link.model_dump() for link in islice(waiting, ROWS)]:
            self.writer.write_table(pyarrow.Table.from_pylist([_listed(row) for row in some], self.schema))


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    """A map is a list of pairs in Arrow."""
    given = ({**each, "units": list(each["units"].items())} for each in row["candidates"])
    return {**row, "candidates": list(given)}


def _line_mentions(path: Path, problems: Problems) -> Iterator[Mention]:
    with path.open("rb") as file:
        yield from lines_of(file, str(path), problems)


def lines_of(file: BinaryIO, name: str, problems: Problems) -> Iterator[Mention]:
    """The good mentions of a file of JSON."""
    return (mention for _, mention in read_json(file, name, Mention, problems, complete_mention))


def _parquet_mentions(path: Path, problems: Problems) -> Iterator[Mention]:
    reader, number = _parquet(), 0
    try:
        table = reader.ParquetFile(path)
    except (ValueError, TypeError) as error:  # Arrow's own errors are ValueErrors
        raise MelderError(f"{path}: is no Parquet file ({str(error).splitlines()[0]})") from None
    known = [name for name in table.schema_arrow.names if name in Mention.model_fields]
    for batch in table.iter_batches(ROWS, columns=known):
        for row in batch.to_pylist():
            number += 1
            try:
                yield Mention.model_validate(_given(row), strict=True)
            except ValidationError as error:
                problems.add(path, number, describe(error, Mention))


def _given(row: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is null: a column cannot leave a field out, as a line of JSON can."""
    return {name: value for name, value in row.items() if value is not None}


def _schema(decided: bool) -> Any:
    import pyarrow as pa

    candidate = [("id", pa.string()), ("name", pa.string()), ("score", pa.float64())]
    types = {
        "start": pa.int64(),
        "end": pa.int64(),
        "nil_probability": pa.float64(),
        "candidates": pa.list_(pa.struct([*candidate, ("units", pa.map_(pa.string(), pa.float64()))])),
    }
    fields = (Decided if decided else Link).model_fields
    return pa.schema([(name, types.get(name, pa.string())) for name in fields])


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise MelderError("Parquet needs its package: pip install melder[scale]") from None
    return pyarrow.parquet
