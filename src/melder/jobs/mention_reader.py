"""Reads files of mentions, a few at a time, in the format of their ending: JSON, Parquet or another table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from melder.data.json_columns import with_columns
from melder.data.json_records import read_json
from melder.data.tables.cells import optional_package
from melder.data.tables.header import read_header
from melder.data.tables.options import Notes, TableOptions
from melder.errors import TABLES
from melder.io.problems import Problems, describe
from melder.jobs.mention_records import MENTION_FIELDS, check_words, complete_mention, table_mentions, with_span
from melder.records import MelderError, Mention

__all__ = ["PARQUET", "is_parquet", "lines_of", "mentions_of", "parquet_package"]

ROWS = 4096  # of a Parquet file that are read together
PARQUET = ".parquet"
WHOLE_TEXTS = (
    "{} [text comes|texts come] without a mention: all of [it|each] is linked, and names within [it|them] are not "
    "looked for; `melder serve` finds these"
)


def is_parquet(path: Path) -> bool:
    """Whether a file is a table of Parquet, by its name.

    Args:
        path: Of the file.

    Returns:
        Whether it ends so.
    """
    return path.suffix.lower() == PARQUET


def mentions_of(
    path: Path, problems: Problems, options: TableOptions | None = None, notes: Notes | None = None
) -> Iterator[Mention]:
    """The good mentions of a file, read as they are asked for.

    Args:
        path: Of the file.
        problems, notes: Take what is no mention, and how a table was read.
        options: How it is to be read.

    Yields:
        In the order of the file.

    Raises:
        MelderError: The file cannot be read.
    """
    notes = Notes() if notes is None else notes
    try:
        if path.suffix.lower() in TABLES:
            read = table_mentions
        else:
            read = _parquet_mentions if is_parquet(path) else _line_mentions
        mentions = read(path, options or TableOptions(), problems, notes)
        yield from map(with_span, _saying_something(mentions, notes))
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise MelderError(f"{path}: cannot be read ({reason}); check the path and its rights") from None


def _line_mentions(path: Path, options: TableOptions, problems: Problems, notes: Notes) -> Iterator[Mention]:
    with path.open("rb") as file:
        yield from _json_mentions(file, str(path), options, problems, notes)


def lines_of(
    file: BinaryIO, name: str, problems: Problems, notes: Notes, options: TableOptions | None = None
) -> Iterator[Mention]:
    """The good mentions of a file of JSON.

    Args:
        file: Open.
        name: For messages.
        problems, notes: Take what is no mention, and how the file was read.
        options: Say which field holds what.

    Returns:
        In the order of the file.
    """
    mentions = _json_mentions(file, name, options or TableOptions(), problems, notes)
    return map(with_span, _saying_something(mentions, notes))


def _json_mentions(
    file: BinaryIO, name: str, options: TableOptions, problems: Problems, notes: Notes
) -> Iterator[Mention]:
    if options.sheet is not None:
        raise MelderError(f"--sheet {options.sheet}: {name} has no sheets; leave the option out")
    columns = options.columns
    complete = with_columns(complete_mention, columns, MENTION_FIELDS, notes) if columns else complete_mention
    for _, mention in read_json(file, name, Mention, problems, complete, completes_all=bool(columns)):
        yield mention


def _saying_something(mentions: Iterable[Mention], notes: Notes) -> Iterator[Mention]:
    """Without those of which there are neither words nor a picture: rows of a table that nobody has filled in."""
    for mention in mentions:
        if mention.text.strip() or mention.surface.strip() or mention.image:
            if mention.text.strip() and not mention.surface.strip() and mention.start is None:
                notes.add(WHOLE_TEXTS)
            yield mention
        else:
            notes.add("{} [mention has|mentions have] neither words nor a picture, and [is|are] left out")


def _parquet_mentions(path: Path, options: TableOptions, problems: Problems, notes: Notes) -> Iterator[Mention]:
    """Rows are counted from 1, and keep their numbers and lists."""
    reader, number = parquet_package(), 0
    try:
        table = reader.ParquetFile(path)
    except (ValueError, TypeError) as error:  # Arrow's own errors are ValueErrors
        raise MelderError(f"{path}: is no Parquet file ({str(error).splitlines()[0]})") from None
    header = read_header(str(path), 1, table.schema_arrow.names, MENTION_FIELDS, ("image",), options.columns, notes)
    check_words(path, header)
    field_of = {name: field for name, field in zip(table.schema_arrow.names, header.columns, strict=False) if field}
    for batch in table.iter_batches(ROWS, columns=list(field_of)):
        for row in batch.to_pylist():
            number += 1
            try:
                fields = {field_of[name]: value for name, value in row.items()}
                yield Mention.model_validate(complete_mention(fields, number), strict=True)
            except ValidationError as error:
                problems.add(path, number, describe(error, Mention))


def parquet_package() -> Any:
    """The package that Parquet needs.

    Returns:
        `pyarrow.parquet`

    Raises:
        MelderError: It is not installed.
    """
    return optional_package("pyarrow.parquet", "Parquet").parquet
