"""Tensors of different lengths as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["pad_and_stack"]


def pad_and_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Concatenate on the first axis; every other axis is padded with zeros to the longest.

    Args:
        tensors: Of the same number of axes; at least one.

    Returns:
        All rows, in order.
    """
    longest = [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]
    return torch.cat([_pad(tensor, longest) for tensor in tensors])


def _pad(tensor: Tensor, sizes: Sequence[int]) -> Tensor:
    if list(tensor.shape[1:]) == list(sizes):
        return tensor
    padded = tensor.new_zeros((len(tensor), *sizes))
    padded[tuple(slice(0, size) for size in tensor.shape)] = tensor
    return padded
