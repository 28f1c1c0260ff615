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
from melder.further_pictures import FurtherPictures

__all__ = ["gather", "gather_mentions", "gather_rows", "own_rows"]


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
    further = _gather_further(features)
    shards = [
        Features(
            **{name: parts[rank] for name, parts in gathered.items()},  # type: ignore[arg-type]
            surfaces=surfaces,
            further=further[rank],
        )
        for rank, surfaces in enumerate(_gather_object(features.surfaces))
    ]
    return concatenate(shards)


def gather_mentions(features: Features) -> Features:
    """As `gather`, with further pictures of this process's mentions alone: those of the others are scored elsewhere.

    What only one process reads must not be gathered: the others would not ask for its gradient.
    """
    own, whole = features.further, gather(replace(features, further=None))
    if own is None:
        return whole
    counts = torch.zeros(len(whole), dtype=own.counts.dtype, device=own.counts.device)
    counts[own_rows(len(features))] = own.counts
    return replace(whole, further=replace(own, counts=counts))


def own_rows(pairs: int) -> slice:
    """This process's rows of a gathered batch, of which each process has `pairs`."""
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    return slice(rank * pairs, (rank + 1) * pairs)


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


def _gather_further(features: Features) -> list[FurtherPictures | None]:
    """The further pictures of every process, which have unequal numbers of them."""
    processes = distributed.get_world_size()
    if features.image_global is None or features.image_tokens is None:
        return [None] * processes
    own = features.further
    if own is None:
        none = torch.zeros(len(features), dtype=torch.long, device=features.image_global.device)
        own = FurtherPictures(none, features.image_global[:0], features.image_tokens[:0], features.has_image[:0])
    most = own.counts.sum()
    distributed.all_reduce(most, op=distributed.ReduceOp.MAX)
    if not most:
        return [None] * processes
    tensors = own.image_global, own.image_tokens, own.image_mask
    padded = [_pad_rows(tensor, int(most)) for tensor in tensors]
    counts, *pictures = (_gather_tensor(tensor) for tensor in (own.counts, *padded))
    totals = [int(count.sum()) for count in counts]
    return [
        FurtherPictures(counts[rank], *(parts[rank][:total] for parts in pictures)) for rank, total in enumerate(totals)
    ]


def _pad_rows(tensor: Tensor, rows: int) -> Tensor:
    return torch.nn.functional.pad(tensor, (*[0] * (2 * tensor.dim() - 1), rows - len(tensor)))


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
