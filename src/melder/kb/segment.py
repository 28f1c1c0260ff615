"""A segment: an immutable piece of a knowledge base, a directory of five files.

records.sqlite   entities, and full-text search over their names
sides.bin        the matcher's sides of the entities, raw arrays
pictures.bin     pictures, one after the other; empty when none are kept
ids.bin          hashes of the entities' ids; segments of earlier versions have none
segment.json     where everything is, and digests; written last
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from melder.features import Rows, Side
from melder.io.atomic import writing
from melder.io.checksums import BlockFile, ChecksummedFile, WholeFile, damaged, digest_blocks, digest_of
from melder.kb.format.arrays import ArraySpec, FlatArrays, PictureArrays, write_arrays
from melder.kb.format.codebook import CodebookFile
from melder.kb.format.identities import read_hashes, write_hashes
from melder.kb.format.mapped_arrays import MappedArrays
from melder.kb.format.packing import PackedSide, restore
from melder.kb.format.records import Records, write_records
from melder.kb.format.rounding import BITS, StorageDtype
from melder.kb.pictures import write_pictures
from melder.ops.not_finite import not_finite
from melder.records import Entity, MelderError

__all__ = ["SEGMENT_ROWS", "Segment", "SegmentContents", "SegmentDescription", "write_segment"]

SEGMENT_ROWS = 4096  # of a full segment; a build holds the sides of so many at once
DESCRIPTION = "segment.json"
RECORDS, SIDES, PICTURES, IDENTITIES = "records.sqlite", "sides.bin", "pictures.bin", "ids.bin"


@dataclass
class SegmentContents:
    """What a segment is made of: n entities, and arrays whose first axis they are.

    Args:
        sides: As `packing.pack` gives them.
        pictures: ((row, number of the picture), bytes), read while they are written.
        unreadable: Why pictures could not be read, by their names.
    """

    entities: Sequence[Entity]
    sides: PackedSide
    pictures: Iterable[tuple[tuple[int, int], bytes]] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)


class SegmentDescription(BaseModel):
    """What segment.json holds; earlier versions of Melder wrote an empty `vectors` too, and no `flat`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    rows: int
    kind: StorageDtype
    sides: dict[str, ArraySpec]
    flat: tuple[FlatArrays, ...] | None = None  # the arrays of `sides` that have no padding
    further_pictures: tuple[PictureArrays, ...] = ()  # those of pictures behind the first
    pictures: int
    unreadable: dict[str, str]
    files: dict[str, BlockFile]
    identities: WholeFile | None = None  # beside `files`, where earlier versions of Melder would not have it


def write_segment(path: Path, contents: SegmentContents, kind: StorageDtype) -> str:
    """Write a segment to the disk; it is there as a whole or not at all.

    Args:
        path: Its directory, which is new.
        contents: Records, sides and pictures.
        kind: What the sides are rounded to.

    Returns:
        The digest of its description, which a manifest lists.
    """
    with writing(path) as partial:
        packed = contents.sides
        sides = write_arrays(partial / SIDES, packed.arrays, packed.by_row, dense=kind in BITS)
        places = write_pictures(partial / PICTURES, contents.pictures)
        write_records(partial / RECORDS, contents.entities, places)
        description = SegmentDescription(
            rows=len(contents.entities),
            kind=kind,
            sides=sides,
            flat=contents.sides.flat,
            further_pictures=contents.sides.pictures,
            pictures=len(places),
            unreadable=dict(contents.unreadable),
            files={name: digest_blocks(partial / name) for name in (RECORDS, SIDES, PICTURES)},
            identities=write_hashes(partial / IDENTITIES, (entity.id for entity in contents.entities)),
        )
        content = description.model_dump_json().encode()
        (partial / DESCRIPTION).write_bytes(content)
    return digest_of(content)


def segment_digest(path: Path) -> str:
    """The digest of a finished segment's description.

    Raises:
        MelderError: It cannot be read.
    """
    return digest_of(_read(path / DESCRIPTION))


def segment_faults(path: Path, digest: str) -> list[str]:
    """Everything that is wrong with the files of a segment, each block read; one line a fault."""
    try:
        description = _describe(path / DESCRIPTION, digest)
    except MelderError as error:
        return [str(error)]
    files = description.files.items()
    faults = [str(fault) for name, expected in files for fault in ChecksummedFile(path / name, expected).faults()]
    if description.identities is not None:
        try:
            read_hashes(path / IDENTITIES, description.identities)
        except MelderError as error:
            faults.append(str(error))
    return faults


class Segment:
    """A segment that is read. Opening checks the description's digest and the files' sizes, nothing more.

    Args:
        path: Its directory.
        digest: That its description should have.
        trusted: As for `Records`.
        codebook: What residuals are decoded by.
    """

    def __init__(self, path: Path, digest: str, *, trusted: bool = True, codebook: CodebookFile | None = None) -> None:
        self.path = path
        self.description = _describe(path / DESCRIPTION, digest)
        for name, expected in self.description.files.items():
            if name not in (RECORDS, SIDES, PICTURES):
                raise damaged(path / DESCRIPTION, f"lists {name!r}, which is no file of a segment")
            expected.check_size(path / name)
        if (hashes := self.description.identities) is not None:
            hashes.check_size(path / IDENTITIES)
            if hashes.size != 8 * self.rows:
                raise damaged(path / IDENTITIES, f"is not of {self.rows} entities")
        self.sides = _mapped(path / SIDES, self.description, self._file(SIDES), codebook)
        self.records = Records(ChecksummedFile(path / RECORDS, self._file(RECORDS)), trusted=trusted)
        self._pictures = ChecksummedFile(path / PICTURES, self._file(PICTURES))

    @property
    def rows(self) -> int:
        return self.description.rows

    def may_hold(self, hashes: np.ndarray) -> np.ndarray:
        """Whether ids may be here; all may, where that is not known.

        Args:
            hashes: [ids], `identities.hashes_of` them.

        Returns:
            [ids] bool.

        Raises:
            MelderError: What says so is damaged.
        """
        if self.description.identities is None:
            return np.ones(len(hashes), dtype=bool)
        stored = self._identity_hashes
        places = np.minimum(stored.searchsorted(hashes), len(stored) - 1)
        held: np.ndarray = stored[places] == hashes
        return held

    @cached_property
    def _identity_hashes(self) -> np.ndarray:
        """[entities] uint64, ascending; read when an id is first looked for, and then in memory: 8 bytes an entity."""
        assert self.description.identities is not None
        return read_hashes(self.path / IDENTITIES, self.description.identities)

    def side(self, rows: Rows, units: Collection[str] | None = None) -> Side:
        """In float32, of some of the rows; of these units, by default of all."""
        side = restore(self.sides, rows, units)
        if name := not_finite(side):
            raise damaged(self.path / SIDES, f"tensor {name!r} holds NaN or infinity")
        return side

    def picture(self, row: int, number: int) -> bytes | None:
        """The bytes of a stored picture."""
        place = self.records.picture(row, number)
        return None if place is None else self._pictures.read(*place)

    def close(self) -> None:
        """Close the records, unmap the sides and forget the ids; all are read again when they are needed."""
        self.records.close()
        self.sides.close()
        self.__dict__.pop("_identity_hashes", None)

    def _file(self, name: str) -> BlockFile:
        if name not in self.description.files:
            raise damaged(self.path / DESCRIPTION, f"does not list {name}")
        return self.description.files[name]


def _mapped(
    path: Path, description: SegmentDescription, expected: BlockFile, codebook: CodebookFile | None
) -> MappedArrays:
    flat = _legacy_flat(description.sides) if description.flat is None else description.flat
    return MappedArrays(path, description.sides, expected, flat, description.further_pictures, codebook)


def _legacy_flat(arrays: Iterable[str]) -> tuple[FlatArrays, ...]:
    """What has no padding in a segment whose description does not say so: names, which had no other names then."""
    units = [name.removesuffix("first_name") for name in arrays if name.endswith(".first_name")]
    return tuple(
        FlatArrays((f"{unit}bucket", f"{unit}gram"), f"{unit}first_name", f"{unit}first_gram") for unit in units
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror})") from None


def _describe(path: Path, digest: str) -> SegmentDescription:
    content = _read(path)
    if digest_of(content) != digest:
        raise damaged(path, "is not what was written")
    try:
        return SegmentDescription.model_validate(json.loads(content))
    except (ValueError, ValidationError, RecursionError):
        raise MelderError(f"{path}: was written by another version of Melder; build the knowledge base again") from None
