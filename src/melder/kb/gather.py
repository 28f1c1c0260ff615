"""A few rows of many segments together, as the second stage of a search reads them: one piece of a file for each.

`packing.restore` reads a segment's rows with a dozen operations for each tensor, which is right for hundreds of rows of
one segment; a hundred candidates of a million entities lie in as many segments.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from melder.features import Side
from melder.kb.format.arrays import KINDS, WIDEST, ArrayLayout, ArraySpec, FlatArrays, PictureArrays
from melder.kb.format.mapped_arrays import MappedArrays
from melder.kb.format.packing import pad_names, row_tensors
from melder.kb.format.picture_arrays import pad_pictures, stored_names
from melder.kb.format.rounding import is_companion, restored

__all__ = ["gather", "gatherable"]

Row = tuple[MappedArrays, int]  # a segment's arrays, and a row of them
Piece = tuple[int, int, bytes]  # from a byte of a stored row to another, and the zeros behind


class Field(NamedTuple):
    """An array in a row: its name and type, the shape of a row of it, and the bytes that it has room in."""

    name: str
    kind: str
    shape: tuple[int, ...]
    room: int


class Plan(NamedTuple):
    """How stored rows become one array of `kind`, with a field for each of the tensors `names` and their scales: the
    pieces of a stored row that make a row of it, one after the other, by what is said of the layout."""

    names: Sequence[str]
    kind: np.dtype
    pieces: Mapping[str, Sequence[Piece]]


def gatherable(segments: Collection[MappedArrays]) -> bool:
    """Whether all are stored row by row, as an earlier Melder did not, and as the same kinds and by the same codebook,
    of which shards may have several.

    Args:
        segments: That hold the rows.

    Returns:
        Whether `gather` can read them.
    """
    layouts = [arrays.layout for arrays in segments]
    kinds = {None if layout is None else layout.kinds for layout in layouts}
    codebooks = {arrays.codebook_file and arrays.codebook_file.expected for arrays in segments}
    return len(kinds) == len(codebooks) == 1 and None not in layouts


def gather(rows: Sequence[Row], units: Collection[str] | None = None) -> Side:
    """The Side in float32 of some rows, in their order; token axes are as long as the longest of their segments'.

    Args:
        rows: At least one, each of a segment; the segments are `gatherable`.
        units: None = all.

    Returns:
        The side.

    Raises:
        MelderError: Damaged blocks.
    """
    layouts = {layout.key: layout for arrays, _ in rows if (layout := arrays.layout) is not None}
    plan = _plan(frozenset(layouts.values()), None if units is None else tuple(units))
    pieces = list[memoryview | bytes]()
    for arrays, row in rows:
        layout = arrays.layout
        assert layout is not None
        start = row * layout.step
        for first, last, zeros in plan.pieces[layout.key]:
            pieces += (arrays.part(start + first, start + last), zeros)
    tensors = dict[str, Tensor]()
    if plan.names:
        joined = np.frombuffer(bytearray().join(pieces), plan.kind)
        tensors = {
            name: restored(rows[0][0], name, lambda stored: torch.from_numpy(joined[stored])) for name in plan.names
        }
    for group in rows[0][0].flat_of(units):
        tensors |= _names(group, rows)
    for pictures in dict.fromkeys(group for arrays, _ in rows for group in arrays.pictures_of(units)):
        tensors |= _pictures(pictures, rows)
    return Side(tensors)


@lru_cache
def _plan(layouts: frozenset[ArrayLayout], units: tuple[str, ...] | None) -> Plan:
    """Each array is as long as the longest of any layout; shorter ones have zeros behind."""
    specs = next(iter(layouts)).places
    names = row_tensors(specs, units)
    longest = [
        Field(
            name,
            specs[name].kind,
            max(layout.places[name].shape[1:] for layout in layouts),
            max(layout.room(name) for layout in layouts),
        )
        for name in specs
        if name in names or is_companion(name, names)
    ]
    if longest:  # every row begins at a multiple of the widest type
        spare = -sum(field.room for field in longest) % WIDEST
        longest[-1] = longest[-1]._replace(room=longest[-1].room + spare)
    fields = tuple(longest)
    return Plan(names, _kind(fields), {layout.key: _pieces(layout, fields) for layout in layouts})


@lru_cache
def _kind(fields: tuple[Field, ...]) -> np.dtype:
    """Of rows with these fields, one after the other."""
    sizes = [field.room for field in fields]
    return np.dtype(
        {
            "names": [field.name for field in fields],
            "formats": [(field.kind, field.shape) for field in fields],
            "offsets": [0, *accumulate(sizes)][:-1],
            "itemsize": sum(sizes),
        }
    )


@lru_cache(maxsize=1024)
def _pieces(layout: ArrayLayout, fields: tuple[Field, ...]) -> Sequence[Piece]:
    """What of a stored row makes a row with these fields."""
    pieces = list[Piece]()
    for field in fields:
        first, size = layout.places[field.name].offset, layout.room(field.name)
        last, zeros = first + size, bytes(field.room - size)
        if pieces and pieces[-1][1] == first and not pieces[-1][2]:
            pieces[-1] = (pieces[-1][0], last, zeros)
        else:
            pieces.append((first, last, zeros))
    return pieces


def _names(group: FlatArrays, rows: Sequence[Row]) -> dict[str, Tensor]:
    """Tensors [rows, A, G] as their unit made them."""
    names, grams = list[int](), list[int]()
    pieces = {name: list[memoryview]() for name in group.tensors}
    for arrays, row in rows:
        start, stop = _numbers(arrays, group.first_name, row, row + 1)
        bounds = _numbers(arrays, group.first_gram, start, stop)
        names.append(stop - start)
        grams += [after - before for before, after in pairwise(bounds)]
        for name in group.tensors:
            place = arrays.places[name]
            first, last = (place.offset + bound * place.row_bytes for bound in (bounds[0], bounds[-1]))
            pieces[name].append(arrays.part(first, last))
    arrays = rows[0][0]
    stored = {name: _tensor(pieces[name], arrays.places[name]) for name in group.tensors}
    flat = {name: restored(arrays, name, stored.__getitem__) for name in group.tensors}
    return pad_names(np.array(names), np.array(grams, dtype=np.int64), flat)


def _pictures(group: PictureArrays, rows: Sequence[Row]) -> dict[str, Tensor]:
    """Tensors [rows, K, …] of further pictures; none where none of the rows has any."""
    counts, pieces, like = list[int](), dict[str, list[memoryview]](), rows[0][0]
    for arrays, row in rows:
        start, stop = _numbers(arrays, group.first, row, row + 1) if group in arrays.pictures else (0, 0)
        counts.append(stop - start)
        for name in stored_names(arrays.places, group) if stop > start else ():
            like, place = arrays, arrays.places[name]
            first, last = (place.offset + bound * place.row_bytes for bound in (start, stop))
            pieces.setdefault(name, []).append(arrays.part(first, last))
    stored = {name: _tensor(piece, like.places[name]) for name, piece in pieces.items()}
    tensors = {name: restored(like, name, stored.__getitem__) for name in group.tensors if name in stored}
    return pad_pictures(np.array(counts), tensors)


def _numbers(arrays: MappedArrays, name: str, first: int, last: int) -> list[int]:
    """The integers of an array [n] from `first` to `last`, both among them."""
    offset = arrays.places[name].offset
    return arrays.part(offset + 8 * first, offset + 8 * (last + 1)).cast("q").tolist()


def _tensor(pieces: Sequence[memoryview], place: ArraySpec) -> Tensor:
    """Rows of an array, one after the other, as they are stored."""
    joined, kind = bytearray().join(pieces), KINDS[place.kind]
    flat = torch.frombuffer(joined, dtype=kind) if joined else torch.empty(0, dtype=kind)
    return flat.view(-1, *place.shape[1:])
