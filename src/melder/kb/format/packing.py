"""How a Side is stored: as float32, float16, or int8 with one scale for each vector of the last axis.

What a tensor may bear its unit declares (`SideTensor`); what an array is its segment's description says.

* Padding of tokens is cut off behind the longest text of the segment: tensors [n, L, …] that share the padding of a
  mask [n, L] are as long as its last valid token.
* Tensors [n, A, G] with weights, as names have them, are stored without any padding: one entity of two hundred aliases
  would make every other one as large. `first_name` [n + 1] and `first_gram` [names + 1] say where they begin.
* int8: x = scale * q with q in [-127, 127] and scale [...] in float16. What must not be rounded so much is float16.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from melder.features import Rows, Side, concatenate
from melder.kb.format.arrays import FlatArrays, MappedArrays
from melder.ops.runs import spread
from melder.protocols import SideTensor
from melder.records import MelderError

__all__ = [
    "SCALE",
    "PackedSide",
    "StorageDtype",
    "bytes_restored",
    "merge_rows",
    "pack",
    "pad_names",
    "restore",
    "row_tensors",
]

StorageDtype = Literal["float32", "float16", "int8"]
SCALE = ".scale"  # what is added to a tensor's name for its scales
LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class PackedSide:
    """The arrays that hold a Side, and which of them have no padding."""

    arrays: Mapping[str, np.ndarray]
    flat: tuple[FlatArrays, ...] = ()

    @property
    def by_row(self) -> list[str]:
        """The arrays that have one row an entity."""
        return _by_row(self.arrays, self.flat)


def pack(side: Side, kind: StorageDtype, declared: Mapping[str, SideTensor]) -> PackedSide:
    """What the store holds of a Side.

    Args:
        declared: How it may hold each tensor, by the names that these have in the side.

    Raises:
        MelderError: A tensor is not declared, or two arrays would have one name.
    """
    undeclared = [name for name in side if name not in declared]
    if undeclared:
        raise MelderError(f"the store is not told of the tensor {undeclared[0]!r}; add it to its unit's entity_tensors")
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in _trimmed(side, declared).items():
        arrays |= _as_kind(name, tensor.cpu().contiguous().numpy(), kind, declared[name])
    groups = _flat_groups(side, declared)
    for weights, group in groups.items():
        flat = _without_padding(side, weights, group)
        if twice := arrays.keys() & flat.keys():
            raise MelderError(f"the store has two arrays of the name {min(twice)!r}; rename the tensor, or its unit")
        for name, array in flat.items():
            arrays |= _as_kind(name, array, kind, declared.get(name, SideTensor()))
    return PackedSide(arrays, tuple(groups.values()))


def restore(arrays: MappedArrays, rows: Rows, units: Collection[str] | None = None) -> Side:
    """A Side in float32 of some of the rows, of these units or all; token axes are those of the segment, names as long
    as these rows need."""
    tensors = {name: _floats(arrays, name, rows) for name in row_tensors(arrays.places, arrays.flat, units)}
    for group in arrays.flat_of(units):
        tensors |= _padded_names(arrays, group, rows)
    return Side(tensors)


def merge_rows(sources: Sequence[tuple[MappedArrays, np.ndarray]]) -> PackedSide:
    """The arrays of some rows of several, one after the other, as they are stored: nothing is rounded again."""
    chosen = [(arrays, torch.from_numpy(rows)) for arrays, rows in sources]
    first = chosen[0][0]
    names = _by_row(first.places, first.flat)
    whole = concatenate([Side({name: arrays.rows(name, rows) for name in names}) for arrays, rows in chosen])
    merged = {name: tensor.numpy() for name, tensor in whole.items()}
    for group in first.flat:
        located = [_located(arrays, group, rows) for arrays, rows in chosen]
        merged[group.first_name] = _starts(np.concatenate([names for names, _, _ in located]))
        merged[group.first_gram] = _starts(np.concatenate([grams for _, grams, _ in located]))
        for name in group.tensors:
            flat = [arrays.rows(name, where) for (arrays, _), (_, _, where) in zip(chosen, located, strict=True)]
            merged[name] = torch.cat(flat).numpy()
    return PackedSide(merged, first.flat)


def bytes_restored(arrays: MappedArrays, rows: slice) -> int:
    """Memory that `restore` of these rows takes."""
    count = rows.stop - rows.start
    size = sum(4 * int(np.prod(arrays.places[name].shape[1:])) for name in row_tensors(arrays.places, arrays.flat))
    for group in arrays.flat:
        names, grams, _ = _located(arrays, group, rows)
        size += 4 * len(group.tensors) * int(names.max(initial=1)) * int(grams.max(initial=1))
    return int(count * size)


def _trimmed(side: Side, declared: Mapping[str, SideTensor]) -> dict[str, Tensor]:
    """Every tensor but those stored without padding, without the padding behind the longest text."""
    tensors = {name: tensor for name, tensor in side.items() if declared[name].weights is None}
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


def _as_kind(name: str, array: np.ndarray, kind: StorageDtype, declared: SideTensor) -> dict[str, np.ndarray]:
    if array.dtype != np.float32 or kind == "float32":
        return {name: array}
    if kind == "float16" or array.ndim < 2 or not declared.rounded:
        return {name: array.clip(-LARGEST, LARGEST).astype(np.float16)}
    largest = np.abs(array).max(axis=-1, initial=0)
    # Rounded up to float16, so that no value leaves [-127, 127].
    scale = np.nextafter((largest / 127).clip(0, LARGEST / 2).astype(np.float16), np.float16(np.inf))
    quotient = np.rint(array / scale.astype(np.float32)[..., None])
    return {name: quotient.clip(-127, 127).astype(np.int8), name + SCALE: scale}


def _floats(arrays: MappedArrays, name: str, rows: Rows) -> Tensor:
    stored = arrays.rows(name, rows)
    if stored.dtype == torch.int8:
        return stored.float().mul_(arrays.rows(name + SCALE, rows).float()[..., None])
    return stored.float() if stored.dtype == torch.float16 else stored


def _by_row(names: Iterable[str], flat: Iterable[FlatArrays]) -> list[str]:
    """The arrays that have one row an entity: tensors and their scales."""
    others = {name for group in flat for name in (*group.tensors, group.first_name, group.first_gram)}
    return [name for name in names if name not in others]


def row_tensors(
    names: Collection[str], flat: Iterable[FlatArrays] = (), units: Collection[str] | None = None
) -> list[str]:
    """The tensors, of these units or all, that have one row an entity, among the names of arrays."""
    tensors = [name for name in _by_row(names, flat) if not _is_scale(name, names)]
    return tensors if units is None else [name for name in tensors if name.partition(".")[0] in units]


def _is_scale(name: str, names: Collection[str]) -> bool:
    return name.endswith(SCALE) and name.removesuffix(SCALE) in names


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
    return {**flat, group.first_name: _starts(names), group.first_gram: _starts(grams[grams > 0])}


def _padded_names(arrays: MappedArrays, group: FlatArrays, rows: Rows) -> dict[str, Tensor]:
    names, grams, flat = _located(arrays, group, rows)
    return pad_names(names, grams, {name: _floats(arrays, name, flat) for name in group.tensors})


def pad_names(names: np.ndarray, grams: np.ndarray, flat: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors [rows, A, G] as their unit made them, of rows with so many names, and names with so many n-grams; `flat`
    has each one after the other."""
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
    names, which = _runs(arrays, group.first_name, rows)
    grams, flat = _runs(arrays, group.first_gram, which)
    return names, grams, flat


def _runs(arrays: MappedArrays, name: str, rows: Rows) -> tuple[np.ndarray, Rows]:
    """The lengths of some runs, and all that is in them; `name` says where each run begins. Slices give a slice."""
    if isinstance(rows, slice):
        start, stop, _ = rows.indices(arrays.places[name].shape[0] - 1)
        bounds = arrays.rows(name, slice(start, stop + 1))
        return bounds.diff().numpy(), slice(int(bounds[0]), int(bounds[-1]))
    first = arrays.rows(name, rows)
    lengths = (arrays.rows(name, rows + 1) - first).numpy()
    return lengths, _spread(first, lengths)


def _spread(first: Tensor, lengths: np.ndarray) -> Tensor:
    """first[0], first[0] + 1, … (lengths[0] of them), then those of first[1], and so on."""
    owner, place = map(torch.from_numpy, spread(lengths))
    return first[owner] + place


def _starts(lengths: np.ndarray) -> np.ndarray:
    """[n + 1] int64: where each begins when they stand one after the other, and where the last ends."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
