"""A few rows of many segments together, as the second stage of a search reads them: byte by byte, whatever the segment.

`packing.restore` reads a segment's rows with a dozen operations for each tensor, which is right for hundreds of rows of
one segment; a hundred candidates of a million entities lie in as many segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from melder.features import Side
from melder.kb.arrays import KINDS, MappedArrays
from melder.kb.packing import NAMES, SCALE, flat_parts, pad_names, row_names

__all__ = ["gather"]

Place = tuple[MappedArrays, int]  # a segment's arrays, and a row of them


def gather(places: Sequence[Place]) -> Side:
    """The Side in float32 of these rows, in their order; token axes are as long as the longest of their segments'.

    Raises MelderError for damaged blocks. There must be a row.
    """
    first = places[0][0].places
    tensors = {name: _floats(name, places) for name in row_names(first)}
    for part in flat_parts(first):
        tensors |= _names(part, places)
    return Side(tensors)


def _floats(name: str, places: Sequence[Place]) -> Tensor:
    stored = _rows(name, places)
    if stored.dtype == torch.int8:
        return stored.float().mul_(_rows(name + SCALE, places).float()[..., None])
    return stored.float() if stored.dtype == torch.float16 else stored


def _rows(name: str, places: Sequence[Place]) -> Tensor:
    """[rows, …] as stored; shorter rows have zeros behind."""
    known, pieces = _known(name, places), list[memoryview | bytes]()
    longest = max(size for _, size in known.values())
    for arrays, row in places:
        offset, size = known[arrays]
        start = offset + row * size
        pieces.append(arrays.part(start, start + size))
        if size < longest:
            pieces.append(bytes(longest - size))
    shape = max(arrays.places[name].shape[1:] for arrays in known)
    return _tensor(pieces, places[0][0].places[name].kind).view(len(places), *shape)


def _names(part: str, places: Sequence[Place]) -> dict[str, Tensor]:
    """`bucket` and `gram` [rows, A, G] as the lexical unit reads them."""
    names, grams = list[int](), list[int]()
    found = [(each, _known(part + each, places), list[memoryview | bytes]()) for each in NAMES]
    for arrays, row in places:
        start, stop = _numbers(arrays, f"{part}first_name", row, row + 1)
        bounds = _numbers(arrays, f"{part}first_gram", start, stop)
        names.append(stop - start)
        grams += [after - before for before, after in pairwise(bounds)]
        for _, known, pieces in found:
            offset, size = known[arrays]
            pieces.append(arrays.part(offset + bounds[0] * size, offset + bounds[-1] * size))
    first = places[0][0].places
    flat = {each: _tensor(pieces, first[part + each].kind) for each, _, pieces in found}
    flat["gram"] = flat["gram"].float()
    return pad_names(part, np.array(names), np.array(grams, dtype=np.int64), flat)


def _known(name: str, places: Sequence[Place]) -> dict[MappedArrays, tuple[int, int]]:
    """Where an array begins in each file, and the bytes of a row."""
    files = dict.fromkeys(arrays for arrays, _ in places)
    return {arrays: (arrays.places[name].offset, arrays.places[name].row_bytes) for arrays in files}


def _numbers(arrays: MappedArrays, name: str, first: int, last: int) -> list[int]:
    """The integers of an array [n] from `first` to `last`, both among them."""
    offset = arrays.places[name].offset
    return arrays.part(offset + 8 * first, offset + 8 * (last + 1)).cast("q").tolist()


def _tensor(pieces: Sequence[memoryview | bytes], kind: str) -> Tensor:
    joined = bytearray().join(pieces)
    return torch.frombuffer(joined, dtype=KINDS[kind]) if joined else torch.empty(0, dtype=KINDS[kind])
