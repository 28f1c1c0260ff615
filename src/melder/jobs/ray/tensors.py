"""Tensors as bytes, for the rows of a data set: safetensors, in the order in which they were."""

from __future__ import annotations

from collections.abc import Mapping

from safetensors.torch import load, save
from torch import Tensor

__all__ = ["from_bytes", "to_bytes"]


def to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as the bytes of a safetensors file.

    The format sorts by name, so that each name gets its number in front.

    Args:
        tensors: By name.

    Returns:
        The bytes.
    """
    numbered = {
        f"{n:04d} {name}": tensor.cpu().clone().contiguous() for n, (name, tensor) in enumerate(tensors.items())
    }
    content: bytes = save(numbered)
    return content


def from_bytes(content: bytes) -> dict[str, Tensor]:
    """Tensors from bytes that `to_bytes` made.

    Args:
        content: The bytes.

    Returns:
        By name, in their order.
    """
    return {name[5:]: tensor for name, tensor in sorted(load(content).items())}
