"""Mentions linked and files of links written, a few at a time, in the format of the file's ending.

A Parquet file of links has a link's fields; `candidates` is a list of structures, and the units of a candidate are a
map.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from melder.export.annotated_text import LinkedMention
from melder.export.formats import FORMATS, LinkFormat, LinkWriter, WriterOptions, format_of
from melder.io.atomic import replacing
from melder.jobs.mention_reader import PARQUET, is_parquet, parquet_package
from melder.names import nearest
from melder.records import PARTIAL, Decided, Link, MelderError, Mention
from melder.search.filters import Types

if TYPE_CHECKING:
    from melder.protocols import Linker

__all__ = [
    "AT_ONCE",
    "check_output",
    "is_lines",
    "links_of",
    "output_format",
    "written",
]

AT_ONCE = 256  # mentions encoded and scored together: one pass over a knowledge base
ROWS = 4096  # links of a row group


def is_lines(path: Path, name: str | None) -> bool:
    """Whether links are written as JSON Lines, to which a job that was stopped can add.

    Args:
        path: Of the file of links.
        name: Of a format; None = by the file's ending.

    Returns:
        Whether it can.
    """
    return not (name is None and is_parquet(path)) and output_format(path, name) is FORMATS["jsonl"]


def check_output(path: Path, name: str | None = None, *, without_texts: bool = False) -> None:
    """Refuse a file of links whose format is not known, by its name or ending.

    Args:
        path: Of the file.
        name: Of a format; None = by the file's ending.
        without_texts: Texts are not at hand, so that the format must need none.

    Raises:
        MelderError: It is not known, needs a package, or needs texts.
    """
    if name is None and is_parquet(path):
        parquet_package()
        return
    form = output_format(path, name)
    if without_texts and form.has_texts:
        raise MelderError(f"{path}: --ray writes links without their texts; take .jsonl, .csv, .tsv or .parquet")


def output_format(path: Path | None, name: str | None) -> LinkFormat:
    """The format of this name or, without one, of a file's ending; of nothing JSON Lines.

    Args:
        path: Of the file; None = the standard output.
        name: Of a format.

    Returns:
        The format.

    Raises:
        MelderError: There is no such format.
    """
    if name is not None and name not in FORMATS:
        if f".{name}" == PARQUET:
            raise MelderError(f"--format {name}: a table of Parquet is a file: give --output FILE{PARQUET} alone")
        near = nearest(name, FORMATS, 1)
        hint = f" did you mean {near[0]}?" if near else ""
        raise MelderError(f"--format {name}: is no format of links;{hint} there are {', '.join(FORMATS)}")
    if name is None and path is None:
        return FORMATS["jsonl"]
    form = FORMATS[name] if name is not None else format_of(cast(Path, path))
    if form is None:
        endings = ", ".join([*(ending for each in FORMATS.values() for ending in each.endings), PARQUET])
        raise MelderError(f"{path}: links are written as {endings}; give the file one of these endings, or --format")
    return form


def links_of(
    linker: Linker, mentions: Sequence[Mention], folder: Path, k: int, types: Types | None = None, kept: int = 0
) -> Iterator[list[Link]]:
    """Links in the order of the mentions, some at a time, but for the first `kept`, whose pictures are only read.

    Args:
        linker: Any.
        mentions: In the order of the file.
        folder: That names of pictures are relative to.
        k: Candidates of a link.
        types: Of entities that are looked for; None = all.
        kept: How many are linked already.

    Yields:
        Links of some of the mentions.
    """
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
def written(path: Path, options: WriterOptions, name: str | None = None) -> Iterator[LinkWriter]:
    """A file of links that is there under its name when all are in it.

    Args:
        path: Of the file.
        options: Of the writer.
        name: Of its format; None = by its ending.

    Yields:
        What takes links.

    Raises:
        MelderError: The format is not known or needs a package that is not there, or nothing can be written.
    """
    with replacing(path) as partial:
        if name is None and is_parquet(path):
            schema = _schema(options.decided)
            with parquet_package().ParquetWriter(partial, schema) as writer:
                yield _Table(writer, schema)
            return
        form = output_format(path, name)
        with partial.open("w", encoding=form.encoding, newline=form.newline) as file:
            links = form.open(file, options)
            yield links
            links.finish()


class _Table:
    def __init__(self, writer: Any, schema: Any) -> None:
        self.writer, self.schema = writer, schema

    def write(self, linked: Iterable[LinkedMention]) -> None:
        import pyarrow

        waiting = iter(linked)
        while rows := [link.model_dump() for _, link in islice(waiting, ROWS)]:
            self.writer.write_table(pyarrow.Table.from_pylist([_listed(row) for row in rows], self.schema))

    def finish(self) -> None:
        """The writer closes the file."""


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    """A map is a list of pairs in Arrow."""
    given = ({**each, "units": list(each["units"].items())} for each in row["candidates"])
    return {**row, "candidates": list(given)}


def _schema(decided: bool) -> Any:
    import pyarrow as pa

    candidate = [("id", pa.string()), ("name", pa.string()), ("score", pa.float64())]
    types = {
        "start": pa.int64(),
        "end": pa.int64(),
        "nil_probability": pa.float64(),
        "candidates": pa.list_(pa.struct([*candidate, ("units", pa.map_(pa.string(), pa.float64()))])),
    }
    fields = [name for name in (Decided if decided else Link).model_fields if name not in PARTIAL]
    return pa.schema([(name, types.get(name, pa.string())) for name in fields])
