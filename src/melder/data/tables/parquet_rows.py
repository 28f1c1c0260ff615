"""The rows of a Parquet file (`pip install melder[tables]`): lists stay lists, bytes are UTF-8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from melder.data.tables.cells import Cell, Row, optional_package, text_of
from melder.data.tables.language_columns import LOCALISED
from melder.data.tables.options import Notes
from melder.io.problems import Problems
from melder.languages import is_tag
from melder.records import MelderError

__all__ = ["parquet_rows"]

BATCH = 4096  # rows that are read together


def parquet_rows(path: Path, problems: Problems, notes: Notes) -> Iterator[Row]:
    """The rows, the names of the columns first.

    Args:
        path: the file
        problems: told of rows with bytes that are no text
        notes: told of columns that hold no texts, and are left out

    Yields:
        a number and the cells

    Raises:
        MelderError: It is no Parquet file, or the package is missing.
    """
    optional_package("pyarrow", "Parquet")
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path)
        columns = [column for field in table.schema_arrow for column in _columns(field, notes)]
        yield 1, [header for header, _ in columns]
        numbers = count(2)
        for batch in table.iter_batches(BATCH):
            values = [_values(batch, keys) for _, keys in columns]
            for row in zip(*values, strict=True):
                yield from _row(path, next(numbers), row, columns, problems)
    except (ValueError, TypeError, KeyError, NotImplementedError, OSError) as error:  # Arrow's own errors are these
        reason = " ".join(str(error).split())[:200]
        raise MelderError(f"{path}: is no Parquet file ({reason}); save it again, or as CSV UTF-8") from None


def _columns(field: Any, notes: Notes) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A column's header, and the keys by which its values are reached; texts by language are a column a language."""
    import pyarrow.types

    if pyarrow.types.is_struct(field.type) and field.name.lower() in LOCALISED:
        tags = [inner.name for inner in field.type if is_tag(inner.name.lower())]
        yield from ((f"{field.name}@{tag}", (field.name, tag)) for tag in tags)
    elif pyarrow.types.is_nested(field.type) and not _is_list_of_texts(field.type):
        notes.add(f"column {field.name} is left out: it holds no texts, but {field.type}")
    else:
        yield field.name, (field.name,)


def _is_list_of_texts(kind: Any) -> bool:
    import pyarrow.types

    lists = (pyarrow.types.is_list, pyarrow.types.is_large_list, pyarrow.types.is_fixed_size_list)
    return any(is_list(kind) for is_list in lists) and not pyarrow.types.is_nested(kind.value_type)


def _values(batch: Any, keys: Sequence[str]) -> list[Any]:
    values = batch.column(keys[0]).to_pylist()
    return values if len(keys) == 1 else [value and value[keys[1]] for value in values]


def _row(
    path: Path, number: int, values: Sequence[Any], columns: Sequence[tuple[str, Any]], problems: Problems
) -> Iterator[Row]:
    cells = list[Cell]()
    for (header, _), value in zip(columns, values, strict=True):
        try:
            cells.append(text_of(_decoded(value)))
        except UnicodeDecodeError:
            problems.add(path, number, [(header, "holds bytes that are not UTF-8; write texts into this column")])
            return
    yield number, cells


def _decoded(value: Any) -> Any:
    """Bytes as the text that they are: some writers do not say that a column is one of texts."""
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value
