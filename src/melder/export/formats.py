"""The formats that links are written in, by name, by the ending of a file and by media type.

| name | ending | what it is |
| --- | --- | --- |
| `jsonl` | .jsonl, .ndjson | a link a line, with all candidates and the scores of units |
| `csv`, `tsv` | .csv, .tsv | a row a mention, for spreadsheets |
| `nif` | .ttl | NIF 2.1 with ITS 2.0 in Turtle |
| `web-annotation` | .jsonld | Web Annotations of the W3C |
| `tei` | .tei, .xml | TEI P5, mentions as `<rs ref>` |

Parquet, which is no text, is written by `melder.jobs.mention_file`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from melder.export.addresses import ENTITY_PREFIX
from melder.export.annotated_text import LinkedMention
from melder.export.link_lines import LinkLines
from melder.export.link_table import LinkTable
from melder.export.tei import TeiWriter
from melder.export.web_annotation import WebAnnotationWriter
from melder.records import MelderError

__all__ = ["FORMATS", "LinkFormat", "LinkWriter", "WriterOptions", "format_of"]


class LinkWriter(Protocol):
    """Links that are being written."""

    def write(self, linked: Iterable[LinkedMention]) -> None: ...

    def finish(self) -> None:
        """Write what stands behind the last of them."""
        ...


@dataclass(frozen=True)
class WriterOptions:
    """What writers may be told.

    Args:
        k: candidates of a mention that have columns in a table
        decided: whether links have an answer, by a threshold
        entities: what stands before an entity's id in formats that have addresses
    """

    k: int = 10
    decided: bool = False
    entities: str = ENTITY_PREFIX


@dataclass(frozen=True)
class LinkFormat:
    """A format.

    Args:
        endings: of files, in lower case
        media_type: by which clients of the service ask for it
        open: makes a writer into a file
        has_texts: whether texts are written, so that mentions must be at hand and not only their links
        encoding: of a file; a spreadsheet takes a mark for UTF-8, and its absence not
        newline: of a file, as `open` takes it
    """

    name: str
    endings: tuple[str, ...]
    media_type: str
    open: Callable[[TextIO, WriterOptions], LinkWriter]
    has_texts: bool = False
    encoding: str = "utf-8"
    newline: str = "\n"


def _table(delimiter: str) -> Callable[[TextIO, WriterOptions], LinkWriter]:
    return lambda file, options: LinkTable(file, options.k, decided=options.decided, delimiter=delimiter)


def _nif(file: TextIO, options: WriterOptions) -> LinkWriter:
    try:
        from melder.export.nif import NifWriter
    except ModuleNotFoundError:
        raise MelderError("NIF needs its package: pip install 'melder[nif]'") from None
    return NifWriter(file, options.entities)


FORMATS = {
    each.name: each
    for each in (
        LinkFormat("jsonl", (".jsonl", ".ndjson"), "application/x-ndjson", lambda file, options: LinkLines(file)),
        LinkFormat("csv", (".csv",), "text/csv", _table(","), encoding="utf-8-sig", newline=""),
        LinkFormat("tsv", (".tsv",), "text/tab-separated-values", _table("\t"), encoding="utf-8-sig", newline=""),
        LinkFormat("nif", (".ttl",), "text/turtle", _nif, has_texts=True),
        LinkFormat(
            "web-annotation",
            (".jsonld",),
            "application/ld+json",
            lambda file, options: WebAnnotationWriter(file, options.entities),
            has_texts=True,
        ),
        LinkFormat(
            "tei",
            (".tei", ".xml"),
            "application/tei+xml",
            lambda file, options: TeiWriter(file, options.entities),
            has_texts=True,
        ),
    )
}


def format_of(path: Path) -> LinkFormat | None:
    """The format that a file's ending stands for; None where it stands for none."""
    return next((each for each in FORMATS.values() if path.suffix.lower() in each.endings), None)
