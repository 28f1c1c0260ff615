"""What the routers share: the settings, what is served, and the way from a mention to its link."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated
from weakref import WeakKeyDictionary

import anyio
from fastapi import Depends, Request

from melder.linking.evidence import Explanation
from melder.linking.explanation import explain, explainable
from melder.mentions.dictionary import NameFinder
from melder.protocols import MentionFinder
from melder.records import Link, MelderError, Mention
from melder.serving.batching import Batcher, LinkTask
from melder.serving.errors import ApiError, busy
from melder.serving.mention_log import MentionLog
from melder.serving.metrics import ServiceMetrics
from melder.serving.middleware import ARRIVED
from melder.serving.pictures import ImageLoader
from melder.serving.settings import ServiceSettings
from melder.serving.snapshot import SnapshotReloader
from melder.serving.source import Served

__all__ = ["Service", "Serving", "before_deadline"]

log = logging.getLogger(__name__)


@dataclass
class Service:
    """One running service."""

    settings: ServiceSettings
    current: SnapshotReloader
    batcher: Batcher
    pictures: ImageLoader
    measures: ServiceMetrics
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)  # one change of the knowledge base at a time
    finder: MentionFinder = field(default_factory=NameFinder.open)  # of mentions that nobody has marked
    log: MentionLog | None = None  # of the mentions that were linked; None: nothing is kept
    _finders: WeakKeyDictionary[Served, asyncio.Future[MentionFinder]] = field(default_factory=WeakKeyDictionary)
    is_address_noted: bool = False  # whether the log says that clients keep an address without a promise

    async def note(self, mentions: Sequence[Mention]) -> None:
        """Keep mentions that were linked, where a log is kept."""
        if self.log is not None:
            await asyncio.to_thread(self.log.add, mentions)

    async def link(self, tasks: Sequence[LinkTask]) -> list[Link]:
        """Links of mentions.

        Whoever gives up (a deadline, a client that left) cancels the call, and what waits is linked no more.

        Raises:
            ApiError: (503) when there is no room in the queue.
        """
        self.batcher.submit(tasks)
        try:
            return list(await asyncio.gather(*(task.answer for task in tasks)))
        finally:
            for task in tasks:
                task.answer.cancel()

    @property
    def full(self) -> bool:
        """Whether as many mentions wait as may, with those whose pictures are not decoded yet."""
        return self.batcher.waiting + self.pictures.waiting >= self.settings.queue

    async def images(self, given: Sequence[str | bytes], served: Served) -> tuple[bytes, ...]:
        """Pictures that will be linked with, decoded already.

        Raises:
            ApiError: (503) at once when the queue behind them is full, (422) for more than the model compares.
        """
        most = served.linker.pictures_read
        if len(given) > most:
            raise ApiError(422, f"there are {len(given)} pictures, and the model compares {most}; send at most {most}")
        if any(given) and self.full:
            raise busy(self.settings)
        return await self.pictures.take_all(given, served.linker.check_picture)

    async def find(self, text: str, served: Served) -> list[tuple[int, int]]:
        """[start, end) of the mentions in a text that nobody has marked."""
        finder = await self._of_names(served) if self.finder.reads_names else self.finder
        return await asyncio.to_thread(finder.find, text)

    async def explain(self, task: LinkTask, link: Link) -> Explanation:
        """What matched in a link.

        Raises:
            ApiError: (501) when the method cannot tell, (422) when the linker fails.
        """
        try:
            explainable(task.served.linker)
        except MelderError as error:
            raise ApiError(501, str(error)) from None
        try:
            return await self.batcher.aside(lambda: explain(task.served.linker, task.mention, link, task.item))
        except MelderError:
            log.exception("a link cannot be explained")
            raise ApiError(422, "this link cannot be explained; the log of the service says why") from None

    async def _of_names(self, served: Served) -> MentionFinder:
        """The first call for a generation reads all its names, and goes on with that when it is cancelled."""
        if served not in self._finders:
            self._finders[served] = asyncio.ensure_future(
                asyncio.to_thread(lambda: self.finder.of_names(served.catalogue.names()))
            )
        return await asyncio.shield(self._finders[served])


async def _service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


Serving = Annotated[Service, Depends(_service)]


@asynccontextmanager
async def before_deadline(request: Request, settings: ServiceSettings) -> AsyncIterator[None]:
    """A block that ends when the request's deadline has come (504), or when its client has left (499, seen by nobody).

    The whole body must have been read.
    """
    seconds = settings.deadline - (time.monotonic() - request.scope[ARRIVED])
    with anyio.move_on_after(max(seconds, 0)) as scope:
        watch = asyncio.ensure_future(_cancel_when_left(request, scope))
        try:
            yield
        finally:
            watch.cancel()
    if not scope.cancelled_caught:
        return
    if watch.done() and not watch.cancelled() and watch.exception() is None:
        raise ApiError(499, "the client left")
    raise ApiError(504, "there was no answer in time; ask for less, or ask again later")


async def _cancel_when_left(request: Request, scope: anyio.CancelScope) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
