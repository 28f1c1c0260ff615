"""Places chosen evenly from many."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["evenly_spaced"]


def evenly_spaced(length: int, count: int) -> Tensor:
    """[count] places among so many, the first and the last too; float32 would leave them where there are 2^24.

    Args:
        length: Of what is chosen from.
        count: How many; at least 1.

    Returns:
        [count], int64, ascending.
    """
    return torch.linspace(0, length - 1, count, dtype=torch.float64).long()
