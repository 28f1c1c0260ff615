"""A key-value cache with room to spare: adding a few positions copies those few, not the long prompt before them.

The cache of transformers concatenates at every step: for a prompt of 700 positions and five new ones it moves 705.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

__all__ = ["cache_argument", "join_caches", "room_cache"]

ROOM = 64  # positions; the least that is added when the room is used up


def room_cache() -> Any:
    """An empty cache for a transformers model; its layers also have `shorten`.

    Returns:
        Of transformers, for its `past_key_values`.
    """
    return Cache(layer_class_to_replicate=RoomLayer)


def cache_argument(model: Any) -> str:
    """The name under which a model takes its cache.

    It is `cache` in newer releases of transformers, which refuse the older name from 5.40 on.

    Args:
        model: Of transformers.

    Returns:
        The name.
    """
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def join_caches(parts: Sequence[Any]) -> Any:
    """One cache of the rows of all parts, which have the same last position; zeros before what is shorter.

    Args:
        parts: At least one.

    Returns:
        A cache of transformers.
    """
    joined = room_cache()
    for layers in zip(*(cache.layers for cache in parts), strict=True):
        layer = RoomLayer()
        layer.update(
            _join([layer_part.keys for layer_part in layers]), _join([layer_part.values for layer_part in layers])
        )
        joined.layers.append(layer)
    return joined


class RoomLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values [n, heads, positions, width] as views of larger buffers."""

    is_initialized: bool

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append positions; returns all keys and values."""
        if not self.is_initialized:
            self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
            self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
            self.key_room, self.value_room = self.keys, self.values
        self.keys, self.key_room = _append(self.keys, self.key_room, key_states)
        self.values, self.value_room = _append(self.values, self.value_room, value_states)
        return self.keys, self.values

    def shorten(self, length: int) -> None:
        """Drop all positions from `length` on."""
        self.keys, self.values = self.keys[:, :, :length], self.values[:, :, :length]

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some rows."""
        super().batch_select_indices(indices)
        self.key_room, self.value_room = self.keys, self.values


def _join(parts: list[Tensor]) -> Tensor:
    rows, length = sum(tensor.shape[0] for tensor in parts), max(tensor.shape[2] for tensor in parts)
    joined = parts[0].new_zeros(rows, parts[0].shape[1], length, parts[0].shape[3])
    first = 0
    for tensor in parts:
        joined[first : first + tensor.shape[0], :, length - tensor.shape[2] :] = tensor
        first += tensor.shape[0]
    return joined


def _append(used: Tensor, room: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """`used` (the start of `room`) with `new` behind it, and the buffer, a larger one where it was too small."""
    start, end = used.shape[2], used.shape[2] + new.shape[2]
    if end > room.shape[2]:
        n, heads, _, width = new.shape
        room = torch.empty((n, heads, end + max(ROOM, end // 8), width), dtype=new.dtype, device=new.device)
        room[:, :, :start] = used
    room[:, :, start:end] = new
    return room[:, :, :end], room
