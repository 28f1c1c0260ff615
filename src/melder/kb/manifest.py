"""Generations: each a list of segments, in a manifest that is written last, and CURRENT, which names the newest.

    CURRENT                    "000007.json <SHA-256 of that file>"
    generations/000007.json    the manifest
    segments/NAME/             what it lists
    indexes/NAME/              what searches were prepared with, if that was asked for
    exemplars/NAME/            what was learned from labelled mentions, if anything was
    codebooks/NAME             what residuals are stored by, if sides are stored so
    model/                     the run that the sides were made with

A reader holds a shared lock on the manifest that it has opened, so that nothing that it lists is removed meanwhile.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import melder
from melder.io.atomic import replace_file
from melder.io.checksums import WholeFile, damaged, digest_of
from melder.io.file_names import FileName
from melder.io.locks import share
from melder.io.versions import VERSIONS, check_version
from melder.kb.format.codebook import CodebookFile
from melder.kb.format.rounding import StorageDtype
from melder.kb.pictures import Keep
from melder.records import MelderError

__all__ = [
    "CODEBOOKS",
    "CURRENT",
    "EXEMPLARS",
    "GENERATIONS",
    "INDEXES",
    "LOCK",
    "MODEL",
    "SCHEMA",
    "SEGMENTS",
    "SHARDS",
    "CodebookEntry",
    "Generation",
    "Identity",
    "IndexEntry",
    "KnowledgeBaseSettings",
    "SegmentEntry",
    "decides_sides",
    "is_knowledge_base",
    "open_current",
    "publish",
]

NUMBERED = re.compile(r"[0-9]{1,18}\.json")
SCHEMA = VERSIONS["knowledge base"].current
CURRENT, GENERATIONS, SEGMENTS, MODEL, LOCK = "CURRENT", "generations", "segments", "model", "lock"
INDEXES, EXEMPLARS, CODEBOOKS = "indexes", "exemplars", "codebooks"
SHARDS = "shards.json"  # in a directory that is no knowledge base itself, but names several

# Of a run: sides do not depend on these files, nor on those in the directory.
INDIFFERENT_FILES = ("metrics.json", "environment.json", "config.yaml", "nil.json", "prior.json")
SECOND_LOOK = "rerank/"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Identity(_Part):
    """With what the sides were made: the names of method and encoder, and the run's files by their paths in it."""

    method: str
    encoder: str
    files: dict[FileName, WholeFile]


class CodebookEntry(_Part):
    """What residuals are stored by: the name of a file in `codebooks`, and what was written there."""

    name: str = Field(pattern=r"^[0-9a-f]+\.safetensors$")
    file: WholeFile


class KnowledgeBaseSettings(_Part):
    """What all segments of a knowledge base share.

    `tokens` is how many an entity has at most, of units that allow it; None: all of them.
    """

    kind: StorageDtype
    pictures: Keep
    identity: Identity
    tokens: int | None = Field(default=None, ge=1)
    codebook: CodebookEntry | None = None

    def codebook_file(self, directory: Path) -> CodebookFile | None:
        """Where the codebook is of a knowledge base in this directory."""
        if self.codebook is None:
            return None
        return CodebookFile(directory / CODEBOOKS / self.codebook.name, self.codebook.file)


class SegmentEntry(_Part):
    """A segment of a generation, or a part of its exemplars.

    `deleted_rows` are the rows that were removed or replaced, in ascending order.
    """

    name: str = Field(pattern=r"^[0-9a-z-]+$")
    rows: int = Field(ge=1)
    digest: str
    deleted_rows: tuple[int, ...] = Field((), alias="dead")  # as the manifests of all versions have it

    @property
    def living(self) -> int:
        return self.rows - len(self.deleted_rows)


class IndexEntry(_Part):
    """An index of a generation; `search` is the name of the search that it is for, such as hnsw."""

    name: str = Field(pattern=r"^[0-9a-z-]+$")
    search: str
    digest: str


class Generation(_Part):
    """One version of a knowledge base."""

    schema_version: int = SCHEMA
    number: int = Field(ge=1)
    melder: str
    settings: KnowledgeBaseSettings
    segments: tuple[SegmentEntry, ...]
    indexes: tuple[IndexEntry, ...] = ()
    exemplars: tuple[SegmentEntry, ...] = ()

    @property
    def entities(self) -> int:
        return sum(segment.living for segment in self.segments)


def is_knowledge_base(path: Path) -> bool:
    """Whether a directory is a knowledge base, perhaps one whose build is not finished, or a set of shards.

    Args:
        path: Of anything.

    Returns:
        False for what is not there.
    """
    return any((path / name).exists() for name in (CURRENT, SEGMENTS, SHARDS))


def publish(
    directory: Path,
    number: int,
    settings: KnowledgeBaseSettings,
    segments: tuple[SegmentEntry, ...],
    indexes: tuple[IndexEntry, ...] = (),
    exemplars: tuple[SegmentEntry, ...] = (),
) -> Generation:
    """Write a manifest and make it the current one. The caller holds the lock; what it lists is on the disk already.

    Args:
        directory: Of the knowledge base, whose lock is held.
        number: Of the generation.
        settings: What was decided when the knowledge base was made.
        segments, indexes, exemplars: What it lists.

    Returns:
        What was written.
    """
    generation = Generation(
        number=number,
        melder=melder.__version__,
        settings=settings,
        segments=segments,
        indexes=indexes,
        exemplars=exemplars,
    )
    content = generation.model_dump_json(by_alias=True, exclude_defaults=True, exclude={"schema_version"})
    content = json.dumps({"schema_version": SCHEMA, **json.loads(content)}) + "\n"
    path = directory / GENERATIONS / f"{number:06d}.json"
    path.parent.mkdir(exist_ok=True)
    replace_file(path, content.encode())
    replace_file(directory / CURRENT, f"{path.name} {digest_of(content.encode())}\n".encode())
    return generation


def open_current(directory: Path) -> tuple[Generation, int]:
    """The current generation, and the open file that holds its shared lock until it is closed.

    Args:
        directory: Of the knowledge base.

    Returns:
        The generation, and a file descriptor, which the caller closes.

    Raises:
        MelderError: There is no knowledge base, or it is damaged or of another schema version.
    """
    while True:
        name, digest = _current(directory)
        path = directory / GENERATIONS / name
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            if _current(directory)[0] != name:
                continue  # a writer went on in the meantime and has tidied up
            raise damaged(path, "is missing") from None
        try:
            share(descriptor)
            if not os.path.exists(path):
                os.close(descriptor)
                continue
            return _parse(path, _contents(descriptor), digest), descriptor
        except BaseException:
            os.close(descriptor)
            raise


def _contents(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read()


def _current(directory: Path) -> tuple[str, str]:
    path = directory / CURRENT
    try:
        name, digest = path.read_text(encoding="ascii").split()
    except (FileNotFoundError, NotADirectoryError):
        raise MelderError(_no_current(directory)) from None
    except (OSError, ValueError) as error:
        raise damaged(
            path, f"cannot be read ({getattr(error, 'strerror', None) or 'it names no generation'})"
        ) from None
    if not NUMBERED.fullmatch(name):
        raise damaged(path, "names no generation")
    return name, digest


def _no_current(directory: Path) -> str:
    if directory.exists() and not directory.is_dir():
        return f"{directory}: is a file; a knowledge base is a directory, which `melder kb build` makes"
    if not directory.is_dir():
        return f"{directory}: there is no such directory; make a knowledge base with `melder kb build`"
    if (directory / SHARDS).is_file():
        return f"{directory}: is a set of shards; name the one of them (see {SHARDS}) that is meant"
    if is_knowledge_base(directory):
        return f"{directory}: this knowledge base was not built to its end; run the same `melder kb build` again"
    return f"{directory}: is no knowledge base (CURRENT is missing); make one with `melder kb build`"


def _parse(path: Path, content: bytes, digest: str) -> Generation:
    if digest_of(content) != digest:
        raise damaged(path, "is not what was written")
    try:
        value = json.loads(content)
        check_version("knowledge base", path, value.get("schema_version"), value.get("melder"))
        return Generation.model_validate(value)
    except (ValueError, ValidationError, AttributeError, RecursionError):
        raise damaged(path, "is no manifest") from None


def decides_sides(name: str) -> bool:
    """Whether the sides of entities depend on this file of a run.

    Args:
        name: Of a file of a run's model.

    Returns:
        False of figures, NIL calibration and what belongs to a second look.
    """
    return name not in INDIFFERENT_FILES and not name.startswith(SECOND_LOOK)
