"""A few rows of many segments together, as the second stage of a search reads them: one piece of a file for each.

`packing.restore` reads a segment's rows with a dozen operations for each tensor, which is right for hundreds of rows of
one segment; a hundred candidates of a million entities lie in as many segments.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from melder.features import Side
from melder.kb.format.arrays import KINDS, ArrayLayout, ArraySpec, FlatArrays, MappedArrays, PictureArrays, rounded
from melder.kb.format.packing import pad_names, row_tensors
from melder.kb.format.picture_arrays import pad_pictures, stored_names
from melder.kb.format.rounding import SCALE

__all__ = ["gather", "gatherable"]

Row = tuple[MappedArrays, int]  # a segment's arrays, and a row of them
Piece = tuple[int, int, bytes]  # from a byte of a stored row to another, and the zeros behind


class Plan(NamedTuple):
    """How stored rows become one array of `kind`, with a field for each of the tensors `names` and their scales: the
    pieces of a stored row that make a row of it, one after the other, by what is said of the layout."""

    names: Sequence[str]
    kind: np.dtype
    pieces: Mapping[str, Sequence[Piece]]


def gatherable(segments: Collection[MappedArrays]) -> bool:
    """Whether all are stored row by row, as an earlier Melder did not, and as the same kinds, of which shards may have
    several."""
    layouts = [arrays.layout for arrays in segments]
    return len({None if layout is None else layout.kinds for layout in layouts}) == 1 and None not in layouts


def gather(rows: Sequence[Row], units: Collection[str] | None = None) -> Side:
    """The Side in float32 of these rows, of these units or all, in their order; token axes are as long as the longest
    of their segments'. The segments must be `gatherable`.

    There must be a row.

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
        tensors = {name: _floats(name, joined) for name in plan.names}
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
    longest = tuple(
        (name, specs[name].kind, max(layout.places[name].shape[1:] for layout in layouts))
        for name in specs
        if name in names or name.removesuffix(SCALE) in names
    )
    kind = _kind(longest)
    return Plan(names, kind, {layout.key: _pieces(layout, kind) for layout in layouts})


@lru_cache
def _kind(arrays: tuple[tuple[str, str, tuple[int, ...]], ...]) -> np.dtype:
    """Of rows of these arrays, each with its name, its type and the shape of a row."""
    sizes = [rounded(np.dtype(kind).itemsize * math.prod(shape)) for _, kind, shape in arrays]
    return np.dtype(
        {
            "names": [name for name, _, _ in arrays],
            "formats": [(kind, shape) for _, kind, shape in arrays],
            "offsets": [0, *accumulate(sizes)][:-1],
            "itemsize": sum(sizes),
        }
    )


@lru_cache(maxsize=1024)
def _pieces(layout: ArrayLayout, kind: np.dtype) -> Sequence[Piece]:
    """What of a stored row makes a row of this kind."""
    pieces = list[Piece]()
    for name in kind.names or ():
        first, size = layout.places[name].offset, rounded(layout.places[name].row_bytes)
        last, zeros = first + size, bytes(rounded(kind[name].itemsize) - size)
        if pieces and pieces[-1][1] == first and not pieces[-1][2]:
            pieces[-1] = (pieces[-1][0], last, zeros)
        else:
            pieces.append((first, last, zeros))
    return pieces


def _floats(name: str, joined: np.ndarray) -> Tensor:
    stored = torch.from_numpy(joined[name])
    if stored.dtype == torch.int8:
        return stored.float().mul_(torch.from_numpy(joined[name + SCALE]).float()[..., None])
    return stored.float() if stored.dtype == torch.float16 else stored


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
    kinds = rows[0][0].places
    flat = {name: _tensor(pieces[name], kinds[name].kind) for name in group.tensors}
    return pad_names(np.array(names), np.array(grams, dtype=np.int64), flat)


def _pictures(group: PictureArrays, rows: Sequence[Row]) -> dict[str, Tensor]:
    """Tensors [rows, K, …] of further pictures; none where none of the rows has any."""
    counts, pieces, specs = list[int](), dict[str, list[memoryview]](), dict[str, ArraySpec]()
    for arrays, row in rows:
        start, stop = _numbers(arrays, group.first, row, row + 1) if group in arrays.pictures else (0, 0)
        counts.append(stop - start)
        for name in stored_names(arrays.places, group) if stop > start else ():
            place = specs[name] = arrays.places[name]
            first, last = (place.offset + bound * place.row_bytes for bound in (start, stop))
            pieces.setdefault(name, []).append(arrays.part(first, last))
    stored = {name: _tensor(pieces[name], place.kind).view(-1, *place.shape[1:]) for name, place in specs.items()}
    return pad_pictures(np.array(counts), {name: _scaled(name, stored) for name in group.tensors if name in stored})


def _scaled(name: str, stored: Mapping[str, Tensor]) -> Tensor:
    """A tensor in float32 where it is floating point."""
    tensor = stored[name]
    return tensor.float().mul_(stored[name + SCALE][..., None]) if tensor.dtype == torch.int8 else tensor


def _numbers(arrays: MappedArrays, name: str, first: int, last: int) -> list[int]:
    """The integers of an array [n] from `first` to `last`, both among them."""
    offset = arrays.places[name].offset
    return arrays.part(offset + 8 * first, offset + 8 * (last + 1)).cast("q").tolist()


def _tensor(pieces: Sequence[memoryview], kind: str) -> Tensor:
    joined = bytearray().join(pieces)
    flat = torch.frombuffer(joined, dtype=KINDS[kind]) if joined else torch.empty(0, dtype=KINDS[kind])
    return flat.float() if flat.dtype == torch.float16 else flat
