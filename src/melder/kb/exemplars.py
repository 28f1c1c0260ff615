"""What a knowledge base has learned from labelled mentions: parts beside its segments, `exemplars/NAME/`.

exemplars.json    how many there are, and the files' digests; written last
records.jsonl     of each: its key, the id of the entity that it meant, the surface
text.npy          [n, g] float16, what the encoder made of the text; zeros without one
image.npy         the same of the picture
scale.npy         [n] float32, how far scores of unrelated entities lie apart for it

A generation lists parts as it lists segments, with the rows that are deleted: forgotten, corrected, or of an entity
that was removed. An entity that is updated keeps its exemplars, for they are its by its id.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from melder.io.atomic import writing
from melder.io.checksums import WholeFile, damaged, digest_of
from melder.io.tensors import write_array
from melder.kb.manifest import EXEMPLARS, SegmentEntry
from melder.records import MelderError

__all__ = [
    "ExemplarRecord",
    "Exemplars",
    "dead_rows",
    "exemplar_bytes",
    "exemplar_faults",
    "join_exemplars",
    "read_exemplars",
    "write_exemplars",
]

DESCRIPTION, RECORDS = "exemplars.json", "records.jsonl"
AXES = {"text": 2, "image": 2, "scale": 1}
ARRAYS = tuple(AXES)
FILES = (RECORDS, *(f"{array}.npy" for array in ARRAYS))
PARTS = 64  # that a process keeps read: a few kilobytes an exemplar


class ExemplarRecord(NamedTuple):
    """Which entity a mention meant; the same key is the same mention, whatever it meant."""

    key: str
    entity: str
    surface: str


@dataclass(frozen=True)
class Exemplars:
    """n mentions whose entities are known.

    Args:
        records: [n], the entity, the surface and a key of each.
        text: [n, g], global vectors of their texts; zeros where there is none.
        image: [n, v], of their pictures alike; v = 0 without vision.
        scale: [n], how far apart the scores of unrelated entities lie for the mention.
    """

    records: Sequence[ExemplarRecord] = ()
    text: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    image: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    scale: Tensor = field(default_factory=lambda: torch.zeros(0))

    def __len__(self) -> int:
        return len(self.records)

    def take(self, rows: Sequence[int]) -> Exemplars:
        """Those of some rows, in their order."""
        index = torch.tensor(list(rows), dtype=torch.long)
        records = [self.records[row] for row in rows]
        return Exemplars(records, self.text[index], self.image[index], self.scale[index])

    def without(self, keys: Collection[str]) -> Exemplars:
        """Those whose key is none of these."""
        return self.take([row for row, record in enumerate(self.records) if record.key not in keys])


class _Description(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    rows: int
    files: dict[str, WholeFile]


def join_exemplars(parts: Sequence[Exemplars]) -> Exemplars:
    """Those of several parts, one after the other.

    Args:
        parts: Of one model.

    Returns:
        All of them.
    """
    filled = [part for part in parts if len(part)]
    if len(filled) < 2:
        return filled[0] if filled else Exemplars()
    records = [record for part in filled for record in part.records]
    arrays = (torch.cat([getattr(part, name) for part in filled]) for name in ARRAYS)
    return Exemplars(records, *arrays)


def write_exemplars(directory: Path, name: str, exemplars: Exemplars) -> SegmentEntry:
    """Write a part of a knowledge base; it is there as a whole or not at all.

    Args:
        directory: Of the knowledge base.
        name: Of the part, which is new.
        exemplars: Vectors are stored as float16.

    Returns:
        What a manifest lists.
    """
    with writing(directory / EXEMPLARS / name) as partial:
        lines = "".join(json.dumps(record._asdict()) + "\n" for record in exemplars.records)
        (partial / RECORDS).write_bytes(lines.encode())
        for array in ARRAYS:
            kind = torch.float32 if array == "scale" else torch.float16
            write_array(partial / f"{array}.npy", getattr(exemplars, array).to(kind).numpy())
        files = {file: WholeFile.of(partial / file) for file in FILES}
        content = _Description(rows=len(exemplars), files=files).model_dump_json().encode()
        (partial / DESCRIPTION).write_bytes(content)
    return SegmentEntry(name=name, rows=len(exemplars), digest=digest_of(content))


def read_exemplars(directory: Path, entries: Sequence[SegmentEntry]) -> Exemplars:
    """The living ones of these parts, float16, in their order.

    Args:
        directory: Of the knowledge base.
        entries: What its manifest lists.

    Returns:
        Those whose rows are not deleted.

    Raises:
        MelderError: A file is missing or not what was written.
    """
    return join_exemplars([_living(directory / EXEMPLARS / listed.name, listed) for listed in entries])


def exemplar_bytes(directory: Path, entries: Sequence[SegmentEntry]) -> int:
    """What the files of these parts take on the disk.

    Args:
        directory: Of the knowledge base.
        entries: What its manifest lists.

    Returns:
        Bytes, deleted rows included.

    Raises:
        MelderError: A description is missing or damaged.
    """
    parts = (_describe(directory / EXEMPLARS / listed.name, listed.digest) for listed in entries)
    return sum(file.size for part in parts for file in part.files.values())


def exemplar_faults(directory: Path, listed: SegmentEntry) -> Iterator[str]:
    """One line for each file of a part that is not as it was written, each of them read.

    Args:
        directory: Of the knowledge base.
        listed: The part.

    Yields:
        Lines that name a file.
    """
    path = directory / EXEMPLARS / listed.name
    try:
        files = _describe(path, listed.digest).files.items()
    except MelderError as error:
        yield str(error)
        return
    for name, file in files:
        if not file.is_same(path / name):
            yield str(damaged(path / name, "is not what was written"))


def dead_rows(
    directory: Path, entries: Sequence[SegmentEntry], dies: Callable[[ExemplarRecord], bool]
) -> tuple[SegmentEntry, ...]:
    """The parts with the rows marked deleted of which that is said, but for parts in which none lives then.

    Args:
        directory: Of the knowledge base.
        entries: The parts that its manifest lists.
        dies: Whether an exemplar is to be deleted.

    Returns:
        What a new manifest lists; nothing is written.

    Raises:
        MelderError: A part is missing or damaged.
    """
    marked = []
    for listed in entries:
        records = _whole_part(directory / EXEMPLARS / listed.name, listed.digest).records
        gone = {row for row, record in enumerate(records) if dies(record)}
        marked.append(
            listed.model_copy(update={"deleted_rows": tuple(sorted({*listed.deleted_rows, *gone}))}) if gone else listed
        )
    return tuple(listed for listed in marked if listed.living)


def _living(path: Path, listed: SegmentEntry) -> Exemplars:
    part = _whole_part(path, listed.digest)
    return part.take(sorted(set(range(len(part))) - set(listed.deleted_rows))) if listed.deleted_rows else part


@lru_cache(PARTS)
def _whole_part(path: Path, digest: str) -> Exemplars:
    """All rows; what has this digest never changes, so that it is read and checked once."""
    description = _describe(path, digest)
    for name in FILES:
        if name not in description.files:
            raise damaged(path / DESCRIPTION, f"does not list {name}")
        description.files[name].check(path / name)
    try:
        lines = (path / RECORDS).read_text(encoding="utf-8").split("\n")[: description.rows]
        part = Exemplars([ExemplarRecord(**json.loads(line)) for line in lines], *map(_array, _array_paths(path)))
    except (ValueError, TypeError, EOFError, RecursionError) as error:
        raise damaged(path, f"holds no exemplars ({str(error).splitlines()[0]})") from None
    _check_whole(path, part, description.rows)
    return part


def _array_paths(path: Path) -> Iterator[Path]:
    return (path / f"{name}.npy" for name in ARRAYS)


def _array(path: Path) -> Tensor:
    """Mapped at first, so that a header which says more than there is fails before anything is allocated."""
    return torch.from_numpy(np.array(np.load(path, mmap_mode="r", allow_pickle=False)))


def _check_whole(path: Path, part: Exemplars, rows: int) -> None:
    """What a stranger may have written: as many of each as there are records, and numbers."""
    arrays = {name: getattr(part, name) for name in ARRAYS}
    shapes = all(array.dim() == AXES[name] and array.is_floating_point() for name, array in arrays.items())
    if not shapes or {len(part), *map(len, arrays.values())} != {rows}:
        raise damaged(path, "does not hold as many vectors as mentions")
    if not all(bool(array.isfinite().all()) for array in arrays.values()):
        raise damaged(path, "holds numbers that are not finite")


def _describe(path: Path, digest: str) -> _Description:
    try:
        content = (path / DESCRIPTION).read_bytes()
        if digest_of(content) == digest:
            return _Description.model_validate(json.loads(content))
    except (OSError, ValueError, ValidationError):
        pass
    raise damaged(path / DESCRIPTION, "is missing or not what was written")
