"""Exponentials on a CPU as powers of two: PyTorch's `exp2` is several times as fast as its `exp`, and so is a softmax
of it where rows are short, which PyTorch takes one number at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["LOG2E", "exponentials_", "softmax"]

LOG2E = 1 / math.log(2)
LARGEST = 70.0  # exponentials of numbers within it of zero, and sums of some thousand of them, are numbers of float32


def softmax(logits: Tensor, out: Tensor | None = None, *, base_two: bool = False) -> Tensor:
    """Over the last axis, into `out` if it is given; not differentiable. Equal to `torch.softmax` to rounding.

    Args:
        logits: [..., n].
        out: Of the same shape, which takes the result.
        base_two: The logits were multiplied by `LOG2E` already, by whoever can do it to something smaller.

    Returns:
        [..., n].
    """
    if not _by_powers(logits):
        return torch.softmax(logits / LOG2E if base_two else logits, dim=-1, out=out)
    powers = logits if base_two else torch.mul(logits, LOG2E, out=out)
    weights = torch.exp2(powers, out=powers if out is None and not base_two else out)
    return weights.div_(weights.sum(dim=-1, keepdim=True))


def _by_powers(logits: Tensor) -> bool:
    """Whether powers of two are quicker, and all of them numbers."""
    if logits.device.type != "cpu" or logits.dtype not in (torch.float32, torch.float64) or not logits.numel():
        return False
    least, most = (float(bound) for bound in torch.aminmax(logits))
    return least > -LARGEST and most < LARGEST


def exponentials_(logits: Tensor) -> Tensor:
    """exp of logits, in their place.

    Args:
        logits: Of any shape, which are overwritten.

    Returns:
        The same tensor.
    """
    return logits.mul_(LOG2E).exp2_() if logits.device.type == "cpu" else logits.exp_()
