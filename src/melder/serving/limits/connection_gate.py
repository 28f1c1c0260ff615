"""What a request passes before the application: room for it, and its turn."""

from __future__ import annotations

import asyncio
from collections import deque

from starlette.types import ASGIApp, Receive, Scope, Send

from melder.serving.errors import refused
from melder.serving.limits.connection_pool import ConnectionPool
from melder.serving.settings import ServiceSettings

__all__ = ["ConnectionGate", "Turns"]

HEALTH = ("/healthz", "/readyz")
PER_TURN = 1  # request that begins in one turn of the event loop: it takes a millisecond or two, health some turns


class ConnectionGate:
    """ASGI: where too many connections are busy a request is refused, and few begin in one turn of the event loop.

    Without the second, a hundred pipelined requests at once are a tenth of a second in every turn, of which a new
    connection needs half a dozen until it is answered. Health is neither refused nor does it wait.
    """

    def __init__(self, app: ASGIApp, pool: ConnectionPool, settings: ServiceSettings) -> None:
        self._app, self._pool, self._settings = app, pool, settings
        self._turns = Turns(PER_TURN)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in HEALTH:
            await self._app(scope, receive, send)
        elif self._pool.is_overbooked:
            headers = {"Retry-After": str(self._settings.retry_after), "Connection": "close"}
            sentence = "too many connections are open; ask again in a moment"
            await refused(503, sentence, headers)(scope, receive, send)
        else:
            await self._turns.take()
            await self._app(scope, receive, send)


class Turns:
    """Lets `most` tasks go on in each turn of the event loop, in the order in which they asked."""

    def __init__(self, most: int) -> None:
        self._most, self._left = most, most
        self._waiting = deque[asyncio.Future[None]]()
        self._is_refilled = True

    async def take(self) -> None:
        """Wait for a turn; where few ask there is one at once."""
        if not self._left or self._waiting:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
            return
        self._left -= 1
        self._refill_later()

    def _refill_later(self) -> None:
        if self._is_refilled:
            self._is_refilled = False
            asyncio.get_running_loop().call_soon(self._refill)

    def _refill(self) -> None:
        self._left, self._is_refilled = self._most, True
        while self._left and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # its client may have left
                turn.set_result(None)
                self._left -= 1
        if self._left < self._most:
            self._refill_later()
