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

from melder.records import Link, MelderError, Mention
from melder.search.filters import Types
from melder.serving.errors import ApiError, busy
from melder.serving.metrics import ServiceMetrics
from melder.serving.settings import ServiceSettings
from melder.serving.source import Served

__all__ = ["Batcher", "Job"]

log = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass(eq=False)
class Job:
    """A mention to link to `served`; whoever waits for `answer` may cancel it, and then it is not linked."""

    served: Served
    mention: Mention
    image: bytes | None
    k: int
    types: Types | None = None
    answer: asyncio.Future[Link] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    arrived: float = field(default_factory=time.monotonic)

    def goes_with(self, other: Job) -> bool:
        """Whether both can be linked together."""
        return self.served is other.served and self.types == other.types


class Batcher:
    """A bounded queue, and the thread of the model behind it."""

    def __init__(self, settings: ServiceSettings, measures: ServiceMetrics) -> None:
        self._settings, self._measures = settings, measures
        self._waiting: deque[Job] = deque()
        self._arrived = asyncio.Event()
        self._closed = False
        self._model = ThreadPoolExecutor(1, thread_name_prefix="model")
        measures.watch_queue(lambda: len(self._waiting))

    @property
    def waiting(self) -> int:
        """How many mentions wait, those among them that nobody waits for any more."""
        return len(self._waiting)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue all of the jobs, or none: raises `ApiError` (503) when there is no room for all."""
        if len(self._waiting) + len(jobs) > self._settings.queue:
            self._forget_cancelled()
        if self._closed or len(self._waiting) + len(jobs) > self._settings.queue:
            raise busy(self._settings)
        self._waiting.extend(jobs)
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

    async def _answer(self, batch: Sequence[Job]) -> None:
        start = time.monotonic()
        found = await asyncio.get_running_loop().run_in_executor(self._model, _answered, batch)
        self._measures.batches.observe(len(batch))
        self._measures.model_seconds.observe(time.monotonic() - start)
        for job, answer in zip(batch, found, strict=True):
            _deliver(job, answer)

    async def _next(self) -> list[Job]:
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

    def _take(self) -> list[Job]:
        """The longest waiting jobs of one generation and the same types, without those that nobody waits for."""
        batch: list[Job] = []
        while self._waiting and len(batch) < self._settings.batch:
            if batch and not batch[0].goes_with(self._waiting[0]):
                break
            job = self._waiting.popleft()
            if job.answer.done():
                self._measures.dropped.inc()
            else:
                batch.append(job)
        return batch

    def _forget_cancelled(self) -> None:
        living = [job for job in self._waiting if not job.answer.done()]
        self._measures.dropped.inc(len(self._waiting) - len(living))
        self._waiting = deque(living)


def _answered(jobs: Sequence[Job]) -> Sequence[Link | Exception]:
    """A link for each job; where one job spoils the batch, each is linked by itself, so that only it suffers."""
    try:
        return _linked(jobs)
    except Exception as error:  # a defect is one request's failure, not the service's
        if len(jobs) > 1:
            return [_answered([job])[0] for job in jobs]
        if not isinstance(error, MelderError):
            return [error]
        log.warning("a mention cannot be linked: %s", error)
        return [ApiError(422, "the linker cannot read this mention or its picture; the log of the service says why")]


def _linked(jobs: Sequence[Job]) -> list[Link]:
    linker, k = jobs[0].served.linker, max(job.k for job in jobs)
    items = [linker.item(job.mention, job.image) for job in jobs]
    mentions, types = [job.mention for job in jobs], jobs[0].types
    links = [link for block in linker.answers(mentions, items, k, types) for link in block]
    return [_shortened(link, job.k) for link, job in zip(links, jobs, strict=True)]


def _shortened(link: Link, k: int) -> Link:
    return link if len(link.candidates) <= k else link.model_copy(update={"candidates": link.candidates[:k]})


def _deliver(job: Job, answer: Link | Exception) -> None:
    if job.answer.done():
        return
    if isinstance(answer, Exception):
        job.answer.set_exception(answer)
    else:
        job.answer.set_result(answer)
