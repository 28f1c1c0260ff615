"""Arrays of runs: of each entity some rows, one after the other, and where each entity's begin."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from melder.features import Rows
from melder.kb.format.mapped_arrays import MappedArrays
from melder.ops.runs import spread

__all__ = ["runs_of", "starts_of"]


def runs_of(arrays: MappedArrays, name: str, rows: Rows) -> tuple[np.ndarray, Rows]:
    """The lengths of some runs, and all that is in them; `name` says where each run begins. Slices give a slice.

    Args:
        arrays: Of a segment.
        name: Of the array [all rows + 1] that says where each run begins.
        rows: Whose runs.

    Returns:
        Their lengths [rows], and the places of what is in them, in their order.
    """
    if isinstance(rows, slice):
        start, stop, _ = rows.indices(arrays.places[name].shape[0] - 1)
        bounds = arrays.rows(name, slice(start, stop + 1))
        return bounds.diff().numpy(), slice(int(bounds[0]), int(bounds[-1]))
    first = arrays.rows(name, rows)
    lengths = (arrays.rows(name, rows + 1) - first).numpy()
    return lengths, _places(first, lengths)


def _places(first: Tensor, lengths: np.ndarray) -> Tensor:
    """first[0], first[0] + 1, … (lengths[0] of them), then those of first[1], and so on."""
    owner, place = map(torch.from_numpy, spread(lengths))
    return first[owner] + place


def starts_of(lengths: np.ndarray) -> np.ndarray:
    """[n + 1] int64: where each begins when they stand one after the other, and where the last ends.

    Args:
        lengths: [n].

    Returns:
        [n + 1].
    """
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
