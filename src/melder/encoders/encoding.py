"""Items to features: batches of like length, what items share once, pictures read while the encoder computes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from melder.encoders.picture_memory import PictureMemory, SharedPictures
from melder.encoders.precision import computing
from melder.encoders.read_ahead import ReadAhead, ReadPicture, reading_threads
from melder.encoders.towers import Towers
from melder.features import Features
from melder.protocols import Inputs, Precision
from melder.records import Item

__all__ = ["encode", "encode_chunks", "longest_first"]


def encode(
    encoder: Towers,
    items: Sequence[Item],
    *,
    batch_size: int = 64,
    device: str | torch.device = "cpu",
    precision: Precision = "float32",
    progress: Callable[[int], None] | None = None,
    memory: PictureMemory | None = None,
    threads: int | None = None,
) -> Features:
    """Features of n >= 1 items, float32 on the CPU, in the order of the items, with their surfaces.

    Texts of like length share a batch, so that little is spent on padding. What items share goes through the encoder
    once: a picture in the whole call, or not at all where `memory` has it from earlier ones; a text in each batch.

    Args:
        encoder: in any mode, which it is left in
        items: what is encoded
        batch_size: items that go through the encoder together
        device: where the encoder is
        precision: what it computes in
        progress: told how many items each batch had
        memory: of pictures of earlier calls
        threads: that read pictures while the encoder computes, with the same result; 0 = none; None = as many as
            PyTorch computes with

    Returns:
        the features of the items
    """
    (features,) = encode_chunks(
        encoder,
        [items],
        batch_size=batch_size,
        device=device,
        precision=precision,
        progress=progress,
        memory=memory,
        threads=threads,
    )
    return features


def encode_chunks(
    encoder: Towers,
    chunks: Iterable[Sequence[Item]],
    *,
    batch_size: int = 64,
    device: str | torch.device = "cpu",
    precision: Precision = "float32",
    progress: Callable[[int], None] | None = None,
    memory: PictureMemory | None = None,
    threads: int | None = None,
) -> Iterator[Features]:
    """`encode` for one chunk of items after the other, while pictures of the next one are read."""
    device = torch.device(device)
    reading = reading_threads() if threads is None else threads
    with ReadAhead(encoder.read_picture, reading) as ahead:
        coming = ahead.over(_batches(chunks, batch_size, memory))
        chunk: _Chunk | None = None
        while True:
            with encoder.throughput.timing():
                batch, read = next(coming, (None, None))
                if batch is not None:
                    chunk = batch.chunk
                    chunk.add(batch, _features(encoder, batch, read, device, precision))
            if batch is None or chunk is None:
                return
            if progress is not None:
                progress(len(batch.rows))
            if chunk.is_whole:
                features = chunk.features()
                encoder.throughput.count(features)
                yield features


def longest_first(items: Sequence[Item]) -> list[int]:
    """The order in which items are encoded: what comes later needs no more room than what came before, and
    equal texts stand together."""
    return sorted(range(len(items)), key=lambda index: (-len(items[index].text), items[index].text))


class _Chunk:
    """Items that are encoded in batches, and their features so far."""

    def __init__(self, items: Sequence[Item], memory: PictureMemory | None) -> None:
        self.items, self.order = items, longest_first(items)
        self.pictures = SharedPictures([items[row] for row in self.order], memory or PictureMemory())
        self._tensors: dict[str, Tensor] = {}
        self._encoded = 0

    @property
    def is_whole(self) -> bool:
        return self._encoded == len(self.items)

    def add(self, batch: _Batch, features: Features) -> None:
        for name, tensor in features.tensors().items():
            self._tensors[name] = _place(self._tensors.get(name), tensor.cpu(), batch.rows, len(self.items))
        self._encoded += len(batch.rows)

    def features(self) -> Features:
        return Features(**self._tensors, surfaces=[item.surfaces for item in self.items])


@dataclass(frozen=True)
class _Batch:
    """Rows of a chunk that go through the encoder together, the keys of their pictures, and those that came before."""

    chunk: _Chunk
    rows: Sequence[int]
    keys: Sequence[Hashable]
    begun: set[Hashable]

    @property
    def items(self) -> list[Item]:
        return [self.chunk.items[row] for row in self.rows]

    def unread(self) -> list[Item]:
        items = []
        for item, key in zip(self.items, self.keys, strict=True):
            if key is not None and key not in self.begun and not self.chunk.pictures.has(key):
                items.append(item)
            self.begun.add(key)
        return items


def _batches(chunks: Iterable[Sequence[Item]], size: int, memory: PictureMemory | None) -> Iterator[_Batch]:
    for items in chunks:
        chunk, begun = _Chunk(items, memory), set[Hashable]()
        for start in range(0, len(items), size):
            rows = slice(start, start + size)
            yield _Batch(chunk, chunk.order[rows], chunk.pictures.keys[rows], begun)


def _features(
    encoder: Towers, batch: _Batch, read: ReadPicture | None, device: torch.device, precision: Precision
) -> Features:
    """Those of a batch, by the encoder in evaluation mode."""

    def forward(items: Sequence[Item]) -> Features:
        rows = _few_sizes if device.type == "cpu" else int
        distinct = encoder.prepare_distinct(items, read)
        inputs: Inputs = {name: _filled(tensor, rows(len(tensor))).to(device) for name, tensor in distinct.items()}
        with torch.inference_mode(), computing(device, precision):
            return encoder(inputs).to(torch.float32)[: len(items)]  # type: ignore[no-any-return]

    training = encoder.training
    encoder.eval()
    try:
        return batch.chunk.pictures.encode(batch.items, batch.keys, forward)
    finally:
        encoder.train(training)


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
