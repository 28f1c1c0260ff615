"""Bodies of requests, counted while they are read: one by one, all together, and against the clock."""

from __future__ import annotations

import asyncio
import time

from starlette.types import Message, Receive, Scope

from melder.serving.errors import ApiError
from melder.serving.settings import ServiceSettings

__all__ = ["Body", "BodyBudget"]


class BodyBudget:
    """How many bytes of bodies the service holds."""

    def __init__(self) -> None:
        self.held = 0


class Body:
    """Stands before `receive` of one request.

    Raises:
        ApiError: (408, 413, 503) where a limit is passed, (499) when the client leaves before the end.
    """

    def __init__(self, scope: Scope, receive: Receive, settings: ServiceSettings, meter: BodyBudget) -> None:
        self._receive, self._settings, self._meter = receive, settings, meter
        self._size, self._ended = 0, False
        self._until = time.monotonic() + settings.body_seconds
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        if lengths and lengths[0].isdigit() and int(lengths[0]) > settings.body:
            raise self._too_large()

    async def receive(self) -> Message:
        if self._ended:  # all that may still come is that the client leaves
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), max(self._until - time.monotonic(), 0.001))
        except asyncio.TimeoutError:
            raise ApiError(408, "the request took too long to arrive; send it again", connection="close") from None
        if message["type"] == "http.disconnect":
            raise ApiError(499, "the client left")
        self._count(len(message.get("body", b"")))
        self._ended = not message.get("more_body", False)
        return message

    def release(self) -> None:
        """The request is answered: its bytes are held no longer."""
        self._meter.held -= self._size
        self._size = 0

    def _count(self, size: int) -> None:
        self._size += size
        self._meter.held += size
        if self._size > self._settings.body:
            raise self._too_large()
        if self._meter.held > self._settings.bodies:
            sentence = "the service holds as many requests as it can; ask again in a moment"
            raise ApiError(503, sentence, retry_after=str(self._settings.retry_after))

    def _too_large(self) -> ApiError:
        sentence = f"the request is larger than {self._settings.body:,} bytes; send a smaller picture or fewer texts"
        return ApiError(413, sentence, connection="close")
