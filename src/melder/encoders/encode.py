"""From items to features: which of them go through an encoder together, and where what it makes of them belongs.

Pictures of the batches to come are read while the encoder computes (`melder.encoders.read_ahead`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from melder.encoders.picture_memory import PictureMemory, SharedPictures
from melder.encoders.precision import computing
from melder.encoders.read_ahead import ReadAhead, ReadPicture, reading_threads
from melder.encoders.towers import Towers
from melder.features import Features
from melder.further_pictures import FurtherPictures
from melder.protocols import Inputs, Precision
from melder.records import Item

__all__ = ["batches_of", "encode", "encode_chunks", "longest_first"]

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
    threads: int | None = None,
) -> Features:
    """Features of n >= 1 items, float32 on the CPU, in the order of the items, with their surfaces.

    Texts of like length share a batch, so that little is spent on padding. What items share goes through the encoder
    once: a picture in the whole call, or not at all where `memory` has it from earlier ones; a text in each batch.
    Further pictures go through the encoder after all first ones.

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
    """`encode` for one chunk of items after the other, while pictures of the next one are read.

    Args:
        encoder: in any mode, which it is left in
        chunks: of items, none empty, which are asked for one ahead
        batch_size: items that go through the encoder together
        device: where the encoder is
        precision: what it computes in
        progress: told how many items each batch had
        memory: of pictures of earlier chunks and calls; None = of each chunk alone
        threads: that read pictures meanwhile, as for `encode`

    Yields:
        the features of each chunk, as `encode` gives them
    """
    device = torch.device(device)
    reading = reading_threads() if threads is None else threads
    with ReadAhead(encoder.read_picture, reading) as ahead:
        coming = ahead.over(_batches(chunks, batch_size, memory, sees=encoder.sizes.image_global is not None))
        while True:
            with encoder.throughput.timing():
                batch, read = next(coming, (None, None))
                if batch is None:
                    return
                batch.among.add(batch.rows, _features(encoder, batch, read, device, precision))
            if progress is not None and batch.among is batch.chunk.first:
                progress(len(batch.rows))
            if batch.chunk.is_whole:
                features = batch.chunk.features()
                encoder.throughput.count(features)
                yield features


def batches_of(items: Sequence[Item], batch_size: int, *, sees: bool) -> tuple[Batches, Batches]:
    """What goes through an encoder together: the items with their first pictures, then the further pictures.

    Whoever prepares batches apart from the encoder finds them in the order in which `encode` asks for them.

    Args:
        items: what is encoded
        batch_size: items of a batch
        sees: whether the encoder has vision, so that further pictures are read too

    Returns:
        batches of items with their first pictures, and of one item for each further picture; each with the places of
        its items among all
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


def longest_first(items: Sequence[Item]) -> list[int]:
    """The order in which items are encoded: what comes later needs no more room than what came before, and
    equal texts stand together.

    Args:
        items: what is encoded

    Returns:
        their places
    """
    return sorted(range(len(items)), key=lambda index: (-len(items[index].text), items[index].text))


class _Among:
    """Items that are encoded in batches, and their features so far.

    Args:
        batches: all of them
    """

    def __init__(self, batches: Batches) -> None:
        self.batches = batches
        self._count = self._left = sum(len(rows) for rows, _ in batches)
        self._tensors: dict[str, Tensor] = {}

    @property
    def is_whole(self) -> bool:
        return not self._left

    def add(self, rows: Sequence[int], features: Features) -> None:
        for name, tensor in features.tensors().items():
            self._tensors[name] = _place(self._tensors.get(name), tensor.cpu(), rows, self._count)
        self._left -= len(rows)

    def features(self) -> Features | None:
        """Without surfaces; None of none."""
        return Features(**self._tensors) if self._tensors else None  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Chunk:
    """Items with their first pictures, and their further pictures; an item may show first what another shows later.

    Args:
        items: all of them
        first: the items as they are
        further: an item for each further picture
        pictures: of both
        begun: pictures that are being read, or were
    """

    items: Sequence[Item]
    first: _Among
    further: _Among
    pictures: SharedPictures
    begun: set[Hashable] = field(default_factory=set)

    @property
    def is_whole(self) -> bool:
        return self.first.is_whole and self.further.is_whole

    def features(self) -> Features:
        features, further = self.first.features(), self.further.features()
        assert features is not None
        features.surfaces = [item.surfaces for item in self.items]
        if further is None:
            return features
        counts = torch.tensor([len(item.further) for item in self.items])
        pictures = FurtherPictures.of(counts, further.image_global, further.image_tokens, further.has_image)
        return replace(features, further=pictures)


@dataclass(frozen=True)
class _Batch:
    """Items that go through the encoder together, their rows among which ones, and the keys of their pictures."""

    chunk: _Chunk
    among: _Among
    rows: Sequence[int]
    items: Sequence[Item]
    keys: Sequence[Hashable]

    def unread(self) -> list[Item]:
        items = []
        for item, key in zip(self.items, self.keys, strict=True):
            if key is not None and key not in self.chunk.begun and not self.chunk.pictures.has(key):
                items.append(item)
            self.chunk.begun.add(key)
        return items


def _batches(
    chunks: Iterable[Sequence[Item]], size: int, memory: PictureMemory | None, *, sees: bool
) -> Iterator[_Batch]:
    for items in chunks:
        # Of a chunk alone where none is given: what a chunk gives must not depend on the chunks before it.
        pictures = PictureMemory() if memory is None else memory
        first, further = map(_Among, batches_of(items, size, sees=sees))
        order = [item for among in (first, further) for _, batch in among.batches for item in batch]
        chunk, start = _Chunk(items, first, further, SharedPictures(order, pictures)), 0
        for among in (first, further):
            for rows, batch in among.batches:
                yield _Batch(chunk, among, rows, batch, chunk.pictures.keys[start : start + len(rows)])
                start += len(rows)


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
