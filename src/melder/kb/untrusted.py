"""A knowledge base of a stranger: what is looked at before anything of it is opened, mapped or allocated.

Digests notice accidents; whoever writes the files writes the digests too. Here nothing is taken as said: names lead
nowhere else, every count and place fits the files, and the database has tables only.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from melder.io.checksums import damaged
from melder.kb.format.arrays import KINDS, ArraySpec, FlatArrays, PictureArrays
from melder.kb.format.codebook import quantiser_of
from melder.kb.format.mapped_arrays import MappedArrays
from melder.kb.format.picture_arrays import stored_names
from melder.kb.format.rounding import companions, is_companion
from melder.kb.segment_reader import SegmentReader
from melder.records import MelderError

__all__ = ["check_encoder_files", "check_segment", "check_tree"]

FILES = 1_000_000  # of a directory: a hundred million entities have a tenth of that
DESCRIBED = 256 << 20  # bytes of a file of JSON, which is read as a whole
PADDED = 64 << 20  # numbers that the names of one entity may become: 16 MB of them are a thousand aliases
JSON_FILES = (".json", ".yaml", "CURRENT")


def check_tree(directory: Path) -> None:
    """Refuse links, devices and pipes, files that are no files, and descriptions too large to be read.

    Args:
        directory: Of a stranger's knowledge base.

    Raises:
        MelderError: With the first of them.
    """
    for number, path in enumerate(_walk(directory)):
        mode = path.lstat()
        if stat.S_ISLNK(mode.st_mode):
            raise damaged(path, "is a symbolic link, which may lead out of the directory")
        if not stat.S_ISREG(mode.st_mode) and not stat.S_ISDIR(mode.st_mode):
            raise damaged(path, "is neither a file nor a directory")
        if path.name.endswith(JSON_FILES) and mode.st_size > DESCRIBED:
            raise damaged(path, f"has {mode.st_size:,} bytes, more than {DESCRIBED:,}")
        if number >= FILES:
            raise damaged(directory, f"has more than {FILES:,} files")


def check_encoder_files(model: Path) -> None:
    """Refuse an encoder that names files outside the knowledge base.

    Args:
        model: The directory of a stranger's model.

    Raises:
        MelderError: With the first name.
    """
    for path in sorted((model / "encoder").rglob("encoder.json")):
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            raise damaged(path, "is not JSON") from None
        for text in _strings(content):
            if text.startswith(("/", "~", "\\")) or ".." in PurePosixPath(text).parts:
                raise damaged(path, f"names {text!r}, which is outside the knowledge base")


def check_segment(reader: SegmentReader) -> None:
    """Check what a segment says of itself against its files, which have the sizes that they should have.

    Args:
        reader: Of a stranger's segment.

    Raises:
        MelderError: With the first thing that cannot be.
    """
    description, sides = reader.segment.description, reader.segment.sides
    if description.rows != reader.listed.rows:
        raise damaged(reader.segment.path, f"has {description.rows} rows, and is listed with {reader.listed.rows}")
    deleted = reader.listed.deleted_rows
    if list(deleted) != sorted(set(deleted)) or (deleted and not 0 <= deleted[0] <= deleted[-1] < description.rows):
        raise damaged(reader.segment.path, "is listed with rows removed that it does not have")
    ragged = {name for group in sides.flat for name in (*group.tensors, group.first_name, group.first_gram)}
    ragged |= {name for group in sides.pictures for name in (*stored_names(sides.places, group), group.first)}
    for name, place in description.sides.items():
        _check_place(sides, name, place, None if name in ragged else description.rows)
    for name in sides.places:
        _check_codes(sides, name)
    for group in sides.flat:
        _check_names(sides, group, description.rows)
    for pictures in sides.pictures:
        _check_pictures(sides, pictures, description.rows)
    reader.segment.records.check(description.rows, description.files["pictures.bin"].size)


def _check_place(sides: MappedArrays, name: str, place: ArraySpec, rows: int | None) -> None:
    """`rows`: how many it has to have, one an entity; None: any number."""
    if place.kind not in KINDS or not place.shape or min(place.shape) < 0 or len(place.shape) > 4:
        raise damaged(sides.path, f"array {name!r} has the type {place.kind!r} and the shape {place.shape}")
    if rows is not None and place.shape[0] != rows:
        raise damaged(sides.path, f"array {name!r} has {place.shape[0]} rows, not {rows}")
    size, item = math.prod(place.shape[1:]) * KINDS[place.kind].itemsize, KINDS[place.kind].itemsize
    step = size if place.step is None else place.step
    end = place.offset + max(0, place.shape[0] - 1) * step + size
    if step < size or step % item or place.offset % item or end > sides.checked.expected.size:
        raise damaged(sides.path, f"array {name!r} ends at byte {end:,}, beyond the file, or rows overlap")


def _check_codes(sides: MappedArrays, name: str) -> None:
    """Vectors that were rounded have scales, one a vector; bytes have centroids too, and as many codes as theirs."""
    place, others = sides.places[name], [sides.places.get(other) for other in companions(name)]
    if is_companion(name, sides.places) or others == [None, None]:
        return
    needed = others[: 2 if place.kind == "uint8" else 1]
    if any(other is None or other.shape != place.shape[:-1] for other in needed):
        raise damaged(sides.path, f"array {name!r} does not have a scale for each vector")
    if place.kind == "uint8" and place.shape[-1] != quantiser_of(sides.codebook, name, sides.path).code_bytes:
        raise damaged(sides.path, f"array {name!r} has {place.shape[-1]} codes a vector, not those of its codebook")


def _check_names(sides: MappedArrays, group: FlatArrays, rows: int) -> None:
    """Names of entities, and n-grams of names, follow each other without a gap."""
    for name in (*group.tensors, group.first_name, group.first_gram):
        if name not in sides.places:
            raise damaged(sides.path, f"has no array {name!r}")
    names = _run_lengths(sides, group.first_name, rows)
    grams = _run_lengths(sides, group.first_gram, int(names.sum()))
    for name in group.tensors:
        place, count = sides.places[name], int(grams.sum())
        if place.shape != (count,) and (place.kind, place.shape) != ("uint8", (count, 3)):
            raise damaged(sides.path, f"array {name!r} is {place.shape}, not ({count},)")
    if int(names.max(initial=0)) * int(grams.max(initial=0)) > PADDED:
        raise damaged(sides.path, "has names that are too many and too long to be compared")


def _check_pictures(sides: MappedArrays, group: PictureArrays, rows: int) -> None:
    """Further pictures of entities follow each other without a gap."""
    for name in (*group.tensors, group.there, group.first):
        if name not in sides.places:
            raise damaged(sides.path, f"has no array {name!r}")
    counts = _run_lengths(sides, group.first, rows)
    for name in stored_names(sides.places, group):
        if sides.places[name].shape[0] != int(counts.sum()):
            raise damaged(sides.path, f"array {name!r} has {sides.places[name].shape[0]} rows, not {counts.sum()}")
    numbers = sum(math.prod(sides.places[name].shape[1:]) for name in group.tensors)
    if int(counts.max(initial=0)) * numbers > PADDED:
        raise damaged(sides.path, "has an entity with more pictures than can be compared")


def _run_lengths(sides: MappedArrays, name: str, count: int) -> np.ndarray:
    place = sides.places[name]
    if place.kind != "int64" or place.shape != (count + 1,):
        raise damaged(sides.path, f"array {name!r} is {place.kind} {place.shape}, not int64 ({count + 1},)")
    bounds = sides.rows(name, slice(0, count + 1)).numpy()
    if bounds[0] != 0 or bool((np.diff(bounds) < 0).any()):
        raise damaged(sides.path, f"array {name!r} does not ascend from 0")
    return np.diff(bounds)


def _walk(directory: Path) -> Iterator[Path]:
    """Everything below a directory; nothing is followed."""
    if directory.is_symlink() or not directory.is_dir():
        raise MelderError(f"{directory}: is no directory; name that of a knowledge base")
    for folder, folders, files in os.walk(directory):
        yield from (Path(folder, name) for name in (*folders, *files))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        parts: Sequence[Any] = list(value.values()) if isinstance(value, dict) else value
        for part in parts:
            yield from _strings(part)
