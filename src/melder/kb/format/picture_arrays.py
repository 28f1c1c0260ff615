"""Further pictures of entities in a segment: as many rows as there are pictures, whatever the most that one has.

A side has them as [n, K, …], K being the most of its rows. A segment of which no entity has any has no arrays for them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from melder.features import Rows, Side
from melder.kb.format.arrays import PictureArrays
from melder.kb.format.codebook import Codebook
from melder.kb.format.mapped_arrays import MappedArrays
from melder.kb.format.rounding import StorageDtype, companions, floats, restored_width, stored_as
from melder.kb.format.stored_runs import runs_of, starts_of
from melder.ops.runs import spread
from melder.protocols import SideTensor

__all__ = ["merge_pictures", "pack_pictures", "pad_pictures", "picture_bytes", "restore_pictures", "stored_names"]

Arrays = dict[str, np.ndarray]


def pack_pictures(
    side: Side, kind: StorageDtype, declared: Mapping[str, SideTensor], codebook: Codebook | None = None
) -> tuple[Arrays, tuple[PictureArrays, ...]]:
    """The arrays of a side's tensors that are declared to be of further pictures, and which belong together.

    Args:
        side: Of entities.
        kind: What numbers are rounded to.
        declared: How the store may hold each tensor.
        codebook: What residuals are stored by.

    Returns:
        The arrays, and the groups that they form; none where no entity has a further picture.
    """
    names = dict[str, list[str]]()
    for name in side:
        if (there := declared[name].pictures) is not None:
            names.setdefault(there, []).append(name)
    arrays, groups = Arrays(), list[PictureArrays]()
    for there, tensors in names.items():
        counts = _counts(side[there].cpu().numpy())
        if not counts.any():
            continue
        group = PictureArrays(tuple(tensors), there, f"{there.removesuffix(there.rpartition('.')[2])}first_further")
        rows = spread(counts)
        for name in tensors:
            arrays |= stored_as(name, side[name].cpu().numpy()[rows], kind, declared[name], codebook)
        arrays[group.first] = starts_of(counts)
        groups.append(group)
    return arrays, tuple(groups)


def restore_pictures(arrays: MappedArrays, group: PictureArrays, rows: Rows) -> dict[str, Tensor]:
    """Tensors [rows, K, …] in float32, K being the most further pictures of these rows; none where K is 0.

    Args:
        arrays: Of a segment.
        group: Which of its arrays.
        rows: Of the segment.

    Returns:
        By name.

    Raises:
        MelderError: A block that is read is damaged.
    """
    counts, places = runs_of(arrays, group.first, rows)
    return pad_pictures(counts, {name: floats(arrays, name, places) for name in group.tensors} if counts.any() else {})


def pad_pictures(counts: np.ndarray, stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors [rows, K, …] of rows with so many pictures, of tensors [pictures, …].

    Args:
        counts: [rows], how many pictures each row has.
        stored: Tensors [pictures, …], row after row.

    Returns:
        By name, padded with 0.
    """
    owner, place = map(torch.from_numpy, spread(counts))
    padded = {}
    for name, tensor in stored.items():
        padded[name] = tensor.new_zeros(len(counts), int(counts.max()), *tensor.shape[1:])
        padded[name][owner, place] = tensor
    return padded


def merge_pictures(sources: Sequence[tuple[MappedArrays, Tensor]]) -> tuple[Arrays, tuple[PictureArrays, ...]]:
    """The arrays of some rows of several segments, as they are stored.

    Args:
        sources: Segments, and which of their rows.

    Returns:
        The arrays of one segment, and the groups that they form.

    Raises:
        MelderError: A block that is read is damaged.
    """
    merged, groups = Arrays(), list[PictureArrays]()
    for group in dict.fromkeys(group for arrays, _ in sources for group in arrays.pictures):
        counts, pieces = list[np.ndarray](), list[tuple[MappedArrays, Rows]]()
        for arrays, rows in sources:
            if group in arrays.pictures:
                lengths, places = runs_of(arrays, group.first, rows)
                pieces.append((arrays, places))
            else:
                lengths = np.zeros(len(rows), np.int64)
            counts.append(lengths)
        if not np.concatenate(counts).any():
            continue
        for name in stored_names(pieces[0][0].places, group):
            merged[name] = torch.cat([arrays.rows(name, places) for arrays, places in pieces]).numpy()
        merged[group.first] = starts_of(np.concatenate(counts))
        groups.append(group)
    return merged, tuple(groups)


def picture_bytes(arrays: MappedArrays, rows: slice) -> int:
    """Memory that `restore_pictures` of these rows takes.

    Args:
        arrays: Of a segment.
        rows: Of the segment.

    Returns:
        Bytes.
    """
    size = 0
    for group in arrays.pictures:
        counts, _ = runs_of(arrays, group.first, rows)
        a_picture = sum(4 * restored_width(arrays, name) for name in group.tensors)
        size += len(counts) * int(counts.max(initial=0)) * a_picture
    return size


def stored_names(names: Collection[str], group: PictureArrays) -> list[str]:
    """The arrays [pictures, …] among `names` that hold a group: its tensors, their scales and their centroids.

    Args:
        names: Of all arrays of a segment.
        group: Whose arrays are meant.

    Returns:
        Those of them that are there.
    """
    return [stored for name in group.tensors for stored in (name, *companions(name)) if stored in names]


def _counts(there: np.ndarray) -> np.ndarray:
    """[n]: how many places of a mask [n, K] lead up to the last that is True; the gaps before it are stored too."""
    counts: np.ndarray = np.where(there, np.arange(1, there.shape[1] + 1), 0).max(axis=1, initial=0)
    return counts
