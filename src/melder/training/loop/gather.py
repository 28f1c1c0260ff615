"""Features of all processes together, so that every process sees the whole batch's negatives.

The gradient of a gathered tensor is the sum over the processes that used it; with DistributedDataParallel's mean
over processes, the gradients are those of one process that had the whole batch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed.nn.functional import all_gather

from melder.features import Features, concatenate

__all__ = ["gather", "gather_rows"]


def gather(features: Features) -> Features:
    """The features of every process, in the order of their ranks; unchanged where there is one process.

    Args:
        features: Of this process.

    Returns:
        Of all processes.
    """
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return features
    length = torch.tensor(features.text_tokens.shape[1], device=features.text_global.device)
    distributed.all_reduce(length, op=distributed.ReduceOp.MAX)
    padded = _pad_tokens(features, int(length))
    gathered = {name: _gather_tensor(tensor) for name, tensor in padded.tensors().items()}
    shards = [
        Features(**{name: parts[rank] for name, parts in gathered.items()}, surfaces=surfaces)  # type: ignore[arg-type]
        for rank, surfaces in enumerate(_gather_object(features.surfaces))
    ]
    return concatenate(shards)


def gather_rows(rows: Tensor) -> Tensor:
    """Integers of every process, in the order of their ranks.

    Args:
        rows: [own], of this process.

    Returns:
        [all].
    """
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return rows
    return torch.cat(_gather_tensor(rows))


def _pad_tokens(features: Features, length: int) -> Features:
    """Text tokens padded to `length`, so that every process sends tensors of one shape."""
    more = length - features.text_tokens.shape[1]
    mask = features.text_mask
    if mask is None:
        mask = features.text_tokens.new_ones(features.text_tokens.shape[:2], dtype=torch.bool)
    tokens = torch.nn.functional.pad(features.text_tokens, (0, 0, 0, more))
    return replace(features, text_tokens=tokens, text_mask=torch.nn.functional.pad(mask, (0, more)))


def _gather_tensor(tensor: Tensor) -> list[Tensor]:
    if tensor.requires_grad:
        return list(all_gather(tensor.contiguous()))  # type: ignore[no-untyped-call]
    parts = [torch.empty_like(tensor) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, tensor.contiguous())
    return parts


def _gather_object(value: Any) -> list[Any]:
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values
