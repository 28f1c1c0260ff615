"""How a Side is stored: as float32, float16, int8 with one scale for each vector of the last axis, or residuals.

What a tensor may bear its unit declares (`SideTensor`); what an array is its segment's description says.

* Padding of tokens is cut off behind the longest text of the segment: tensors [n, L, …] that share the padding of a
  mask [n, L] are as long as its last valid token.
* Tensors [n, A, G] with weights, as names have them, are stored without any padding: one entity of two hundred aliases
  would make every other one as large. `first_name` [n + 1] and `first_gram` [names + 1] say where they begin.
* Tensors [n, K, …] of further pictures have as many rows as there are pictures (`picture_arrays`).
* How exactly numbers are stored says `rounding`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from melder.features import Rows, Side, concatenate
from melder.kb.format.arrays import FlatArrays, PictureArrays
from melder.kb.format.codebook import Codebook
from melder.kb.format.mapped_arrays import MappedArrays
from melder.kb.format.picture_arrays import (
    merge_pictures,
    pack_pictures,
    picture_bytes,
    restore_pictures,
    stored_names,
)
from melder.kb.format.rounding import StorageDtype, floats, is_companion, restored_width, stored_as
from melder.kb.format.stored_runs import runs_of, starts_of
from melder.ops.runs import spread
from melder.protocols import SideTensor
from melder.records import MelderError

__all__ = [
    "PackedSide",
    "bytes_restored",
    "merge_rows",
    "pack",
    "pad_names",
    "restore",
    "row_tensors",
]


@dataclass(frozen=True)
class PackedSide:
    """The arrays that hold a Side, and which of them have no padding.

    Args:
        arrays: By name, as they are written.
        flat: Groups of arrays that hold names and n-grams one after the other.
        pictures: Groups of arrays that hold further pictures one after the other.
    """

    arrays: Mapping[str, np.ndarray]
    flat: tuple[FlatArrays, ...] = ()
    pictures: tuple[PictureArrays, ...] = ()

    @property
    def by_row(self) -> list[str]:
        """The arrays that have one row an entity."""
        return _by_row(self.arrays, self.flat, self.pictures)


def pack(
    side: Side, kind: StorageDtype, declared: Mapping[str, SideTensor], codebook: Codebook | None = None
) -> PackedSide:
    """What the store holds of a Side.

    Args:
        side: Of entities.
        kind: What numbers are rounded to.
        declared: How it may hold each tensor, by the names that these have in the side.
        codebook: What residuals are stored by; without it int8 is in their place.

    Returns:
        Its arrays; what needs no row of its own is stored without padding.

    Raises:
        MelderError: A tensor is not declared, or two arrays would have one name.
    """
    undeclared = [name for name in side if name not in declared]
    if undeclared:
        raise MelderError(f"the store is not told of the tensor {undeclared[0]!r}; add it to its unit's entity_tensors")
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in _trimmed(side, declared).items():
        arrays |= stored_as(name, tensor.cpu().contiguous().numpy(), kind, declared[name], codebook)
    groups = _flat_groups(side, declared)
    for weights, group in groups.items():
        flat = _without_padding(side, weights, group)
        if twice := arrays.keys() & flat.keys():
            raise MelderError(f"the store has two arrays of the name {min(twice)!r}; rename the tensor, or its unit")
        for name, array in flat.items():
            arrays |= stored_as(name, array, kind, declared.get(name, SideTensor()))
    of_pictures, pictures = pack_pictures(side, kind, declared, codebook)
    return PackedSide(arrays | of_pictures, tuple(groups.values()), pictures)


def restore(arrays: MappedArrays, rows: Rows, units: Collection[str] | None = None) -> Side:
    """A Side in float32 of some of the rows, of these units or all; token axes are those of the segment, names as long
    as these rows need.

    Args:
        arrays: Of a segment.
        rows: Row numbers of the segment, or a slice of them.
        units: None = all.

    Returns:
        The side.

    Raises:
        MelderError: A block that is read is damaged.
    """
    tensors = {name: floats(arrays, name, rows) for name in row_tensors(_rows_in(arrays), units)}
    for group in arrays.flat_of(units):
        tensors |= _padded_names(arrays, group, rows)
    for pictures in arrays.pictures_of(units):
        tensors |= restore_pictures(arrays, pictures, rows)
    return Side(tensors)


def merge_rows(sources: Sequence[tuple[MappedArrays, np.ndarray]]) -> PackedSide:
    """The arrays of some rows of several, one after the other, as they are stored: nothing is rounded again.

    Args:
        sources: Segments of one layout, and which of their rows.

    Returns:
        What one segment of all these rows holds.

    Raises:
        MelderError: A block that is read is damaged.
    """
    chosen = [(arrays, torch.from_numpy(rows)) for arrays, rows in sources]
    first = chosen[0][0]
    names = _rows_in(first)
    whole = concatenate([Side({name: arrays.rows(name, rows) for name in names}) for arrays, rows in chosen])
    merged = {name: tensor.numpy() for name, tensor in whole.items()}
    for group in first.flat:
        located = [_located(arrays, group, rows) for arrays, rows in chosen]
        merged[group.first_name] = starts_of(np.concatenate([names for names, _, _ in located]))
        merged[group.first_gram] = starts_of(np.concatenate([grams for _, grams, _ in located]))
        for name in group.tensors:
            flat = [arrays.rows(name, where) for (arrays, _), (_, _, where) in zip(chosen, located, strict=True)]
            merged[name] = torch.cat(flat).numpy()
    of_pictures, pictures = merge_pictures(chosen)
    return PackedSide(merged | of_pictures, first.flat, pictures)


def bytes_restored(arrays: MappedArrays, rows: slice) -> int:
    """Memory that `restore` of these rows takes.

    Args:
        arrays: Of a segment.
        rows: Of the segment.

    Returns:
        Bytes.
    """
    count = rows.stop - rows.start
    size = sum(4 * restored_width(arrays, name) for name in row_tensors(_rows_in(arrays)))
    for group in arrays.flat:
        names, grams, _ = _located(arrays, group, rows)
        size += 4 * len(group.tensors) * int(names.max(initial=1)) * int(grams.max(initial=1))
    return int(count * size) + picture_bytes(arrays, rows)


def _trimmed(side: Side, declared: Mapping[str, SideTensor]) -> dict[str, Tensor]:
    """Every tensor but those stored without padding, without the padding behind the longest text."""
    padded = [name for name in side if declared[name].weights is None and declared[name].pictures is None]
    tensors = {name: side[name] for name in padded}
    masks = {mask for name in tensors if (mask := declared[name].tokens) is not None and mask in side}
    longest = {mask: _longest(side[mask]) for mask in masks}
    return {
        name: tensor[:, : longest[mask]] if (mask := declared[name].tokens) in longest else tensor
        for name, tensor in tensors.items()
    }


def _longest(mask: Tensor) -> int:
    """One more than the last place that is valid in any row of a mask [n, L]; 1 where none is."""
    valid = mask.any(dim=0).nonzero()
    return int(valid.max()) + 1 if len(valid) else 1


def _by_row(names: Collection[str], flat: Iterable[FlatArrays], pictures: Iterable[PictureArrays]) -> list[str]:
    """The arrays that have one row an entity: tensors, their scales and their centroids."""
    others = {name for group in flat for name in (*group.tensors, group.first_name, group.first_gram)}
    others |= {name for group in pictures for name in (*stored_names(names, group), group.first)}
    return [name for name in names if name not in others]


def _rows_in(arrays: MappedArrays) -> list[str]:
    return _by_row(arrays.places, arrays.flat, arrays.pictures)


def row_tensors(names: Collection[str], units: Collection[str] | None = None) -> list[str]:
    """The tensors, of these units or all, among the names of arrays that have one row an entity.

    Args:
        names: Of all arrays of a segment.
        units: None = all.

    Returns:
        Names of tensors; scales and centroids are left out.
    """
    tensors = [name for name in names if not is_companion(name, names)]
    return tensors if units is None else [name for name in tensors if name.partition(".")[0] in units]


def _flat_groups(side: Side, declared: Mapping[str, SideTensor]) -> dict[str, FlatArrays]:
    """The tensors that share their padding, by those whose zeros it is."""
    sharing = dict[str, list[str]]()
    for name in side:
        if (weights := declared[name].weights) is not None:
            sharing.setdefault(weights, []).append(name)
    unit = {weights: weights.removesuffix(weights.rpartition(".")[2]) for weights in sharing}
    return {
        weights: FlatArrays(tuple(names), f"{unit[weights]}first_name", f"{unit[weights]}first_gram")
        for weights, names in sharing.items()
    }


def _without_padding(side: Side, weights: str, group: FlatArrays) -> dict[str, np.ndarray]:
    """Names one after the other; what is zero in the weights is padding."""
    valid = side[weights].cpu().numpy() != 0
    grams = valid.sum(axis=2)
    names = (grams > 0).sum(axis=1)
    flat = {name: side[name].cpu().numpy()[valid] for name in group.tensors}
    return {**flat, group.first_name: starts_of(names), group.first_gram: starts_of(grams[grams > 0])}


def _padded_names(arrays: MappedArrays, group: FlatArrays, rows: Rows) -> dict[str, Tensor]:
    names, grams, flat = _located(arrays, group, rows)
    return pad_names(names, grams, {name: floats(arrays, name, flat) for name in group.tensors})


def pad_names(names: np.ndarray, grams: np.ndarray, flat: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names that stand one after the other, as tensors of their unit.

    Args:
        names: [rows], how many names each entity has.
        grams: [all names], how many n-grams each name has.
        flat: Tensors [all n-grams], by name.

    Returns:
        Tensors [rows, A, G] by name, padded with 0.
    """
    owner, nth_name = map(torch.from_numpy, spread(names))
    name, column = map(torch.from_numpy, spread(grams))
    where = (owner[name], nth_name[name], column)
    shape = (len(names), int(names.max(initial=1)), int(grams.max(initial=1)))
    padded = {}
    for tensor, stored in flat.items():
        padded[tensor] = stored.new_zeros(shape)
        padded[tensor][where] = stored
    return padded


def _located(arrays: MappedArrays, group: FlatArrays, rows: Rows) -> tuple[np.ndarray, np.ndarray, Rows]:
    """How many names each row has, how many n-grams each of these names, and where those are in the flat arrays."""
    names, which = runs_of(arrays, group.first_name, rows)
    grams, flat = runs_of(arrays, group.first_gram, which)
    return names, grams, flat
