"""Pictures of the batches to come, read in threads while the encoder computes: Pillow decodes without the GIL."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Protocol, TypeVar

import torch

from melder.data.pillow_warnings import silenced
from melder.protocols import Inputs
from melder.records import Item

__all__ = ["ReadAhead", "ReadPicture", "reading_threads"]

MOST_THREADS = 16
PICTURES = 256  # read ahead of a batch: 38 MB of squares of 224 pixels
BATCHES = 8

ReadPicture = Callable[[Item], Inputs]
Pictures = dict[object, Future[Inputs]]  # by what an item names and which view of it


class Batch(Protocol):
    """What goes through an encoder together."""

    def unread(self) -> Sequence[Item]:
        """The items whose pictures will have to be read, asked once, in the order of the batches."""
        ...


AnyBatch = TypeVar("AnyBatch", bound=Batch)


def reading_threads() -> int:
    """How many threads read pictures where nothing else is said: as many as PyTorch computes with.

    Returns:
        `MOST_THREADS` at most
    """
    return min(MOST_THREADS, torch.get_num_threads())


class ReadAhead:
    """Reads pictures in the order in which batches come; a context manager.

    What is read is what `read` would have given. A picture that cannot be read raises when its batch asks for it, so
    that errors come in the same order too.

    Args:
        read: makes tensors of an item's picture, in any thread; None = there are none to be read
        threads: how many; 0 = read each picture when it is asked for
    """

    def __init__(self, read: ReadPicture | None, threads: int) -> None:
        self._read = read
        self._pool = ThreadPoolExecutor(threads, "melder-pictures") if read is not None and threads else None
        self._silenced = silenced()

    def __enter__(self) -> ReadAhead:
        self._silenced.__enter__()  # while no thread runs yet: filters of warnings belong to the whole process
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._silenced.__exit__(kind, error, at)

    def over(self, batches: Iterable[AnyBatch]) -> Iterator[tuple[AnyBatch, ReadPicture | None]]:
        """Each batch, and what reads its pictures (None = the encoder itself), while those of the next ones are read.

        At most `BATCHES` batches are begun, and none once `PICTURES` pictures are ahead.
        """
        coming, begun = iter(batches), deque[tuple[AnyBatch, Pictures]]()
        while True:
            while len(begun) < BATCHES and sum(len(pictures) for _, pictures in islice(begun, 1, None)) < PICTURES:
                batch = next(coming, None)
                if batch is None:
                    break
                begun.append((batch, self._begin(batch)))
            if not begun:
                return
            batch, pictures = begun.popleft()
            yield batch, self._reader(pictures)

    def _begin(self, batch: Batch) -> Pictures:
        if self._pool is None or self._read is None:
            return {}
        items = {(item.image, item.augment): item for item in batch.unread()}
        if len(items) < 2:  # to wake a thread would cost more than it gains
            return {}
        return {picture: self._pool.submit(self._read, item) for picture, item in items.items()}

    def _reader(self, pictures: Pictures) -> ReadPicture | None:
        read = self._read
        if read is None or not pictures:
            return None

        def take(item: Item) -> Inputs:
            future = pictures.get((item.image, item.augment))
            return read(item) if future is None else future.result()

        return take
