"""The generation that is served now, and the watch for the next one."""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

from melder.serving.metrics import ServiceMetrics
from melder.serving.source import Served, ServedSource

__all__ = ["SnapshotReloader"]

log = logging.getLogger(__name__)
AGAIN = 30.0  # seconds until a generation that failed is tried again: the cause may have been the machine's


class SnapshotReloader:
    """Holds what is served. A new generation is opened beside the old one and takes its place in one assignment.

    Requests that have begun keep the old one; when the last of them is gone, it is closed.
    """

    def __init__(self, source: ServedSource, served: Served, measures: ServiceMetrics) -> None:
        self.source, self._measures = source, measures
        self._failed: tuple[str, float] | None = None  # a generation that could not be opened, and when to try again
        self._lock = asyncio.Lock()
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="opening")
        self.served = self._adopted(served)

    async def refresh(self) -> None:
        """Serve the newest generation. One that cannot be opened is logged, and the old one stays."""
        async with self._lock:
            loop = asyncio.get_running_loop()
            try:
                newest = await loop.run_in_executor(self._opener, self.source.generation)
                if newest == self.served.generation or self._is_put_off(newest):
                    return
                self._failed = newest, time.monotonic() + AGAIN  # unless it opens
                self.served = self._adopted(await loop.run_in_executor(self._opener, self.source.open))
                self._failed = None
            except Exception:  # a knowledge base being written fails in many ways; the service goes on
                self._measures.failed_reloads.inc()
                log.exception("the new generation cannot be opened; the old one is still served")

    async def watch(self, seconds: float) -> None:
        """Look for a new generation for ever."""
        while True:
            await asyncio.sleep(seconds)
            await self.refresh()

    def close(self) -> None:
        self._opener.shutdown(wait=False, cancel_futures=True)

    def _is_put_off(self, generation: str) -> bool:
        return self._failed is not None and self._failed[0] == generation and time.monotonic() < self._failed[1]

    def _adopted(self, served: Served) -> Served:
        if served.close is not None:
            weakref.finalize(served, served.close)
        self._measures.entities.set(len(served.catalogue))
        self._measures.generation.info({"generation": served.generation, "model": served.model})
        return served
