"""From items to features: which of them go through an encoder together, and where what it makes of them belongs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from melder.encoders.picture_memory import PictureMemory
from melder.encoders.precision import computing
from melder.encoders.towers import Towers
from melder.features import Features
from melder.further_pictures import FurtherPictures
from melder.protocols import Inputs, Precision
from melder.records import Item

__all__ = ["batches_of", "encode", "longest_first"]

Batches = list[tuple[list[int], list[Item]]]  # the places of items among all, and these items


def encode(
    encoder: Towers,
    items: Sequence[Item],
    *,
    batch_size: int = 64,
    device: str | torch.device = "cpu",
    precision: Precision = "float32",
    progress: Callable[[int], None] | None = None,
    memory: PictureMemory | None = None,
) -> Features:
    """Features of n >= 1 items, float32 on the CPU, in the order of the items, with their surfaces.

    Texts of like length share a batch, so that little is spent on padding; what items share goes through the encoder
    once, and a picture that `memory` has from earlier calls not at all. `progress` is told how many items each batch
    had. `precision` is what the encoder computes in. Further pictures go through the encoder after all first ones.
    """
    forward = partial(_forward, encoder, device=torch.device(device), precision=precision)
    first, further = (
        _encoded(encoder, batches, forward, memory or PictureMemory(), told)
        for batches, told in zip(
            batches_of(items, batch_size, sees=encoder.sizes.image_global is not None), (progress, None), strict=True
        )
    )
    assert first is not None
    first.surfaces = [item.surfaces for item in items]
    if further is not None and further.image_global is not None and further.image_tokens is not None:
        counts = torch.tensor([len(item.further) for item in items])
        first.further = FurtherPictures(counts, further.image_global, further.image_tokens, further.has_image)
    return first


def batches_of(items: Sequence[Item], batch_size: int, *, sees: bool) -> tuple[Batches, Batches]:
    """What goes through an encoder together: the items with their first pictures, then the further pictures of one that
    `sees` any.

    Whoever prepares batches apart from the encoder finds them in the order in which `encode` asks for them.
    """
    further = [Item(image=picture) for item in items for picture in item.further] if sees else []
    orders = (items, longest_first(items)), (further, list(range(len(further))))
    first, more = (
        [
            (rows, [among[row] for row in rows])
            for start in range(0, len(order), batch_size)
            if (rows := order[start : start + batch_size])
        ]
        for among, order in orders
    )
    return first, more


def _encoded(
    encoder: Towers,
    batches: Batches,
    forward: Callable[[Sequence[Item]], Features],
    memory: PictureMemory,
    progress: Callable[[int], None] | None,
) -> Features | None:
    """Features of the items of all batches, without surfaces; None of none."""
    full: dict[str, Tensor] = {}
    count, training = sum(len(rows) for rows, _ in batches), encoder.training
    encoder.eval()
    try:
        for rows, batch in batches:
            features = memory.encode(batch, forward)
            for name, tensor in features.tensors().items():
                full[name] = _place(full.get(name), tensor.cpu(), rows, count)
            if progress is not None:
                progress(len(rows))
    finally:
        encoder.train(training)
    return Features(**full) if full else None  # type: ignore[arg-type]


def longest_first(items: Sequence[Item]) -> list[int]:
    """The order in which items are encoded: what comes later needs no more room than what came before, and
    equal texts stand together."""
    return sorted(range(len(items)), key=lambda index: (-len(items[index].text), items[index].text))


def _forward(encoder: Towers, items: Sequence[Item], device: torch.device, precision: Precision) -> Features:
    rows = _few_sizes if device.type == "cpu" else int
    inputs: Inputs = {
        name: _filled(tensor, rows(len(tensor))).to(device) for name, tensor in encoder.prepare_distinct(items).items()
    }
    with torch.inference_mode(), computing(device, precision):
        return encoder(inputs).to(torch.float32)[: len(items)]  # type: ignore[no-any-return]


def _few_sizes(rows: int) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, 16, 24, ...

    oneDNN keeps memory for each number of rows that it has met, so that of a service it would grow for long.
    """
    power = 1 << (rows - 1).bit_length()
    return power * 3 // 4 if power > 2 and rows <= power * 3 // 4 else power


def _filled(tensor: Tensor, rows: int) -> Tensor:
    """So many rows: after its own the last one again and again."""
    missing = rows - len(tensor)
    return torch.cat([tensor, tensor[-1:].expand(missing, *tensor.shape[1:])]) if missing else tensor


def _place(full: Tensor | None, batch: Tensor, rows: Sequence[int], count: int) -> Tensor:
    """Put a batch at its rows of the whole, which is as wide as the widest batch so far."""
    if full is None:
        full = batch.new_zeros(count, *batch.shape[1:])
    if batch.dim() > 1 and batch.shape[1] > full.shape[1]:
        wider = full.new_zeros(count, *batch.shape[1:])
        wider[:, : full.shape[1]] = full
        full = wider
    index = torch.tensor(rows)
    if batch.dim() > 1:
        full[index, : batch.shape[1]] = batch
    else:
        full[index] = batch
    return full
