"""How a Side is stored: as float32, float16, or int8 with one scale for each vector of the last axis.

* Padding of tokens is cut off behind the longest text of the segment: where a part has a `mask` [n, L], its token
  tensors [n, L, h], its `mask` and its `mass` [n, L] are as long as the last valid token.
* Names (`bucket` and `gram` [n, A, G] of one part) are stored without any padding: one entity of two hundred aliases
  would make every other one as large. `first_name` [n + 1] and `first_gram` [names + 1] say where they begin.
* int8: x = scale * q with q in [-127, 127] and scale [...] in float16. `gram` and `mass` are float16 then: they are
  small, and the weights of names decide between namesakes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from melder.features import Rows, Side, concatenate
from melder.kb.format.arrays import MappedArrays
from melder.ops.runs import spread

__all__ = [
    "NAMES",
    "SCALE",
    "StorageDtype",
    "bytes_restored",
    "flat_parts",
    "merge_rows",
    "pack",
    "pad_names",
    "restore",
    "row_arrays",
    "row_names",
]

StorageDtype = Literal["float32", "float16", "int8"]
SCALE = ".scale"  # what is added to a tensor's name for its scales
NAMES = ("bucket", "gram")
SMALL = ("gram", "mass")  # never int8
LARGEST = float(np.finfo(np.float16).max)


def pack(side: Side, kind: StorageDtype) -> dict[str, np.ndarray]:
    """The arrays that hold a Side."""
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in _trimmed(side).items():
        arrays |= _as_kind(name, tensor.cpu().contiguous().numpy(), kind)
    for part in _named_parts(side):
        bucket, gram = (side[f"{part}{name}"].cpu().numpy() for name in NAMES)
        for name, array in _flat_names(bucket, gram).items():
            arrays |= _as_kind(f"{part}{name}", array, kind)
    return arrays


def restore(arrays: MappedArrays, rows: Rows, units: Collection[str] | None = None) -> Side:
    """A Side in float32 of some of the rows, of these units or all; token axes are those of the segment, names as long
    as these rows need."""
    tensors = {name: _floats(arrays, name, rows) for name in row_names(arrays.places, units)}
    for part in flat_parts(arrays.places, units):
        tensors |= _padded_names(arrays, part, rows)
    return Side(tensors)


def merge_rows(sources: Sequence[tuple[MappedArrays, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of some rows of several, one after the other, as they are stored: nothing is rounded again."""
    chosen = [(arrays, torch.from_numpy(rows)) for arrays, rows in sources]
    names = row_arrays(chosen[0][0].places)
    whole = concatenate([Side({name: arrays.rows(name, rows) for name in names}) for arrays, rows in chosen])
    merged = {name: tensor.numpy() for name, tensor in whole.items()}
    for part in flat_parts(chosen[0][0].places):
        located = [_located(arrays, part, rows) for arrays, rows in chosen]
        merged[f"{part}first_name"] = _starts(np.concatenate([names for names, _, _ in located]))
        merged[f"{part}first_gram"] = _starts(np.concatenate([grams for _, grams, _ in located]))
        for name in NAMES:
            flat = [arrays.rows(part + name, where) for (arrays, _), (_, _, where) in zip(chosen, located, strict=True)]
            merged[part + name] = torch.cat(flat).numpy()
    return merged


def bytes_restored(arrays: MappedArrays, rows: slice) -> int:
    """Memory that `restore` of these rows takes."""
    count = rows.stop - rows.start
    size = sum(4 * int(np.prod(arrays.places[name].shape[1:])) for name in row_names(arrays.places))
    for part in flat_parts(arrays.places):
        names, grams, _ = _located(arrays, part, rows)
        size += 8 * int(names.max(initial=1)) * int(grams.max(initial=1))
    return int(count * size)


def _trimmed(side: Side) -> dict[str, Tensor]:
    """Every tensor but the names, without the padding behind the longest text."""
    parts = _named_parts(side)
    kept = {name: side[name] for name in side if name not in {f"{part}{each}" for part in parts for each in NAMES}}
    for name, mask in side.items():
        if name.rpartition(".")[2] != "mask":
            continue
        part, length = name.removesuffix("mask"), mask.shape[1]
        valid = mask.any(dim=0).nonzero()
        longest = int(valid.max()) + 1 if len(valid) else 1
        for each, tensor in kept.items():
            tokens = tensor.dim() == 3 or each in (f"{part}mask", f"{part}mass")
            if each.startswith(part) and tokens and tensor.shape[1] == length:
                kept[each] = tensor[:, :longest]
    return kept


def _as_kind(name: str, array: np.ndarray, kind: StorageDtype) -> dict[str, np.ndarray]:
    if array.dtype != np.float32 or kind == "float32":
        return {name: array}
    if kind == "float16" or array.ndim < 2 or name.rpartition(".")[2] in SMALL:
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


def _named_parts(side: Side) -> list[str]:
    """The prefixes, with their dots, of the parts that are names."""
    return [name.removesuffix("bucket") for name in side if name.rpartition(".")[2] == "bucket"]


def flat_parts(arrays: Iterable[str], units: Collection[str] | None = None) -> list[str]:
    """The prefixes, with dots, of the parts (of these units or all) whose names are stored one after the other."""
    found = [name.removesuffix("first_name") for name in arrays if name.rpartition(".")[2] == "first_name"]
    return found if units is None else [part for part in found if part.removesuffix(".") in units]


def row_arrays(arrays: Iterable[str]) -> list[str]:
    """Those that have one row an entity: tensors and their scales."""
    names = list(arrays)
    flat = _flat_names_of(names)
    return [name for name in names if name not in flat]


def row_names(arrays: Iterable[str], units: Collection[str] | None = None) -> list[str]:
    """The tensors, of these units or all, that have one row an entity."""
    names = [name for name in row_arrays(arrays) if not name.endswith(SCALE)]
    return names if units is None else [name for name in names if name.partition(".")[0] in units]


def _flat_names_of(arrays: Iterable[str]) -> set[str]:
    """The arrays that hold names, and the places where these begin."""
    return {f"{part}{name}" for part in flat_parts(arrays) for name in (*NAMES, "first_name", "first_gram")}


def _flat_names(bucket: np.ndarray, gram: np.ndarray) -> dict[str, np.ndarray]:
    """Names one after the other; what is zero in `gram` is padding."""
    valid = gram != 0
    grams = valid.sum(axis=2)
    names = (grams > 0).sum(axis=1)
    return {
        "bucket": bucket[valid],
        "gram": gram[valid],
        "first_name": _starts(names),
        "first_gram": _starts(grams[grams > 0]),
    }


def _padded_names(arrays: MappedArrays, part: str, rows: Rows) -> dict[str, Tensor]:
    names, grams, flat = _located(arrays, part, rows)
    return pad_names(part, names, grams, {each: _floats(arrays, part + each, flat) for each in NAMES})


def pad_names(part: str, names: np.ndarray, grams: np.ndarray, flat: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`bucket` and `gram` [rows, A, G] as the lexical unit reads them, of rows with so many names, and names with so
    many n-grams; `flat` has both one after the other."""
    owner, nth_name = map(torch.from_numpy, spread(names))
    name, column = map(torch.from_numpy, spread(grams))
    where = (owner[name], nth_name[name], column)
    shape = (len(names), int(names.max(initial=1)), int(grams.max(initial=1)))
    padded = {}
    for each, stored in flat.items():
        padded[part + each] = stored.new_zeros(shape)
        padded[part + each][where] = stored
    return padded


def _located(arrays: MappedArrays, part: str, rows: Rows) -> tuple[np.ndarray, np.ndarray, Rows]:
    """How many names each row has, how many n-grams each of these names, and where those are in the flat arrays."""
    names, each = _runs(arrays, f"{part}first_name", rows)
    grams, flat = _runs(arrays, f"{part}first_gram", each)
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
