"""Whether numbers are numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["not_finite"]


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or infinity; None where all numbers are numbers.

    A sum says so at a fraction of the cost of looking at each; where the sum itself overflows, each is looked at.

    Args:
        tensors: By name.

    Returns:
        A name, or None.
    """
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or tensor.is_meta or bool(tensor.sum(dtype=torch.float32).isfinite()):
            continue
        if not bool(tensor.isfinite().all()):
            return name
    return None
