"""The one rule by which scores are put in order: the larger first, and of equal ones the one that stands first.

`torch.topk` and `numpy.argpartition` choose among equal scores as their kernel happens to, which differs from one
processor to the next. Entities stand in the order of the knowledge base, so that here the earlier entity comes first.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["largest", "largest_of_array"]


def largest(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest scores of each row, largest first, of equal ones the first.

    Args:
        scores: [..., n], NaN nowhere.
        k: how many; all n where there are fewer.

    Returns:
        Scores and their places, both [..., min(k, n)].
    """
    n = scores.shape[-1]
    if k >= n:
        return scores.sort(dim=-1, descending=True, stable=True)
    values, places = scores.topk(k + 1, dim=-1)  # one more says whether others equal the last
    tied = (values[..., k - 1] == values[..., k]) if k else values.new_zeros(values.shape[:-1], dtype=torch.bool)
    places = places[..., :k]
    if tied.any():
        places[tied] = _first_of_equal(scores[tied], values[tied][:, k - 1 : k], k)
    places = places.sort(dim=-1).values
    values, order = scores.gather(-1, places).sort(dim=-1, descending=True, stable=True)
    return values, places.gather(-1, order)


def largest_of_array(scores: np.ndarray, k: int) -> np.ndarray:
    """The places of the k largest, largest first, of equal ones the first.

    Args:
        scores: [n].
        k: How many; n where that is fewer.

    Returns:
        [k], int64.
    """
    if k >= len(scores):
        return np.argsort(-scores, kind="stable")
    return largest(torch.from_numpy(np.ascontiguousarray(scores)), k)[1].numpy()


def _first_of_equal(scores: Tensor, least: Tensor, k: int) -> Tensor:
    """[rows, k] ascending places of the k largest of scores [rows, n], of which the k-th is `least` [rows, 1]."""
    above, equal = scores > least, scores == least
    room = k - above.sum(dim=1, keepdim=True)
    chosen = above | (equal & (equal.cumsum(dim=1, dtype=torch.int32) <= room))
    return chosen.nonzero()[:, 1].view(-1, k)
