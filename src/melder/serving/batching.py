"""Gathers mentions of many requests into batches for the model, which runs in one thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from melder.records import Item, Link, MelderError, Mention
from melder.search.filters import Types
from melder.serving.errors import ApiError, busy
from melder.serving.metrics import ServiceMetrics
from melder.serving.settings import ServiceSettings
from melder.serving.source import Served

__all__ = ["Batcher", "LinkTask", "new_answer"]

log = logging.getLogger(__name__)
Result = TypeVar("Result")


def new_answer() -> asyncio.Future[Link]:
    """What somebody waits for."""
    return asyncio.get_running_loop().create_future()


@dataclass(eq=False)
class LinkTask:
    """A mention to link to `served`: with the bytes of its picture, to how many candidates, and (unless any) of which
    types. Whoever waits for `answer` may cancel it, and then it is not linked."""

    served: Served
    mention: Mention
    images: tuple[bytes, ...]
    k: int
    types: Types | None = None
    answer: asyncio.Future[Link] = field(default_factory=new_answer)
    arrived: float = field(default_factory=time.monotonic)

    @property
    def item(self) -> Item:
        """What the encoder reads of it."""
        return self.served.linker.item(self.mention, self.images)


class Batcher:
    """A bounded queue, and the thread of the model behind it."""

    def __init__(self, settings: ServiceSettings, measures: ServiceMetrics) -> None:
        self._settings, self._measures = settings, measures
        self._waiting: deque[LinkTask] = deque()
        self._arrived = asyncio.Event()
        self._closed = False
        self._model = ThreadPoolExecutor(1, thread_name_prefix="model")
        measures.watch_queue(lambda: len(self._waiting))

    @property
    def waiting(self) -> int:
        """How many mentions wait, those among them that nobody waits for any more."""
        return len(self._waiting)

    def submit(self, tasks: Sequence[LinkTask]) -> None:
        """Queue all of the tasks, or none: raises `ApiError` (503) when there is no room for all."""
        if len(self._waiting) + len(tasks) > self._settings.queue:
            self._forget_cancelled()
        if self._closed or len(self._waiting) + len(tasks) > self._settings.queue:
            raise busy(self._settings)
        self._waiting.extend(tasks)
        self._arrived.set()

    async def run(self) -> None:
        """Answer batch after batch, until `close` was called and nothing waits."""
        while batch := await self._next():
            await self._answer(batch)
            del batch  # it holds on to its generation
        self._model.shutdown()

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Something else that the model does, in its thread, between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._model, work)

    def close(self) -> None:
        """Take nothing more; `run` ends when what waits is answered."""
        self._closed = True
        self._arrived.set()

    async def _answer(self, batch: Sequence[LinkTask]) -> None:
        start = time.monotonic()
        found = await asyncio.get_running_loop().run_in_executor(self._model, _answered, batch)
        self._measures.batches.observe(len(batch))
        self._measures.model_seconds.observe(time.monotonic() - start)
        for task, answer in zip(batch, found, strict=True):
            _deliver(task, answer)

    async def _next(self) -> list[LinkTask]:
        """The next batch, once it is full or its first mention has waited long enough; empty when it is all over."""
        while True:
            while not self._waiting:
                if self._closed:
                    return []
                await self._more(None)
            until = self._waiting[0].arrived + self._settings.wait
            while len(self._waiting) < self._settings.batch and not self._closed and time.monotonic() < until:
                await self._more(until - time.monotonic())
            if batch := self._take():
                return batch

    async def _more(self, seconds: float | None) -> None:
        """Wait until something arrives, or for so long."""
        self._arrived.clear()
        try:
            await asyncio.wait_for(self._arrived.wait(), seconds)
        except asyncio.TimeoutError:
            return

    def _take(self) -> list[LinkTask]:
        """The longest waiting tasks of one generation, without those that nobody waits for."""
        batch: list[LinkTask] = []
        while self._waiting and len(batch) < self._settings.batch:
            if batch and batch[0].served is not self._waiting[0].served:
                break
            task = self._waiting.popleft()
            if task.answer.done():
                self._measures.dropped.inc()
            else:
                batch.append(task)
        return batch

    def _forget_cancelled(self) -> None:
        living = [task for task in self._waiting if not task.answer.done()]
        self._measures.dropped.inc(len(self._waiting) - len(living))
        self._waiting = deque(living)


def _answered(tasks: Sequence[LinkTask]) -> Sequence[Link | Exception]:
    """A link for each task; where one task spoils the batch, each is linked by itself, so that only it suffers."""
    try:
        return _linked(tasks)
    except Exception as error:  # a defect is one request's failure, not the service's
        if len(tasks) > 1:
            return [_answered([task])[0] for task in tasks]
        if not isinstance(error, MelderError):
            return [error]
        log.warning("a mention cannot be linked: %s", error)
        return [ApiError(422, "the linker cannot read this mention or its picture; the log of the service says why")]


def _linked(tasks: Sequence[LinkTask]) -> list[Link]:
    linker, k = tasks[0].served.linker, max(task.k for task in tasks)
    mentions, items, types = (
        [task.mention for task in tasks],
        [task.item for task in tasks],
        [task.types for task in tasks],
    )
    links = [link for block in linker.answers(mentions, items, k, types) for link in block]
    return [_shortened(link, task.k) for link, task in zip(links, tasks, strict=True)]


def _shortened(link: Link, k: int) -> Link:
    return link if len(link.candidates) <= k else link.model_copy(update={"candidates": link.candidates[:k]})


def _deliver(task: LinkTask, answer: Link | Exception) -> None:
    if task.answer.done():
        return
    if isinstance(answer, Exception):
        task.answer.set_exception(answer)
    else:
        task.answer.set_result(answer)
