"""Connections that end: time limits for what clients send and read, and a cap; and a log that stays short."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from melder.serving.errors import refused
from melder.serving.settings import ServiceSettings

__all__ = ["LimitedProtocol", "RateLimit", "protocol_of"]

RESERVED = ("/healthz", "/readyz")
HURRY = 1.0  # seconds for a head in the reserve, which those who say nothing must not hold
LINGER = 5.0  # seconds in which the rest of an answer must be read once a connection is to close


class LimitedProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn, which waits neither for a head nor for a reader without end.

    A head must have come within `head_seconds` of the connection or, when one is used again, of its first byte; an
    answer must be read at some rate. Beyond `connections` only health is answered, beyond the reserve nothing.
    """

    def __init__(self, *arguments: Any, settings: ServiceSettings, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._limits = settings
        self._late: asyncio.TimerHandle | None = None  # for a head
        self._unread: asyncio.TimerHandle | None = None  # for an answer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        count = len(self.connections)
        if count > self._limits.connections + self._limits.connections_reserve:
            transport.abort()
        elif count > self._limits.connections:
            self.app = _health_only(self.app, self._limits)
            self._limits = self._limits.model_copy(update={"head_seconds": min(self._limits.head_seconds, HURRY)})
        self._watch_head(begun=True)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._late = _stop(self._late)
        self._unread = _stop(self._unread)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head(begun=bool(self.conn.trailing_data[0]))

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_head(begun=bool(self.conn.trailing_data[0]))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self._unread or self.loop.call_later(self._limits.body_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread = _stop(self._unread)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._linger()

    def _watch_head(self, *, begun: bool) -> None:
        """Start the clock when a head has begun, stop it when one has ended."""
        if self.conn.their_state is not h11.IDLE:
            self._late = _stop(self._late)
        elif begun and self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(self._limits.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self.transport.close()
        self._linger()

    def _linger(self) -> None:
        """A closing connection waits for its reader, and not for ever."""
        self.loop.call_later(LINGER, self.transport.abort)


def protocol_of(settings: ServiceSettings) -> Callable[..., LimitedProtocol]:
    """What uvicorn makes a protocol of each connection with."""

    def connect(*arguments: Any, **named: Any) -> LimitedProtocol:
        return LimitedProtocol(*arguments, settings=settings, **named)

    return connect


class RateLimit(logging.Filter):
    """Lets a line of one kind (a logger and a message before its arguments are filled in) pass once in `seconds`."""

    def __init__(self, seconds: float = 60.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._passed: dict[tuple[str, str], float] = {}
        self._held: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind, now = (record.name, _kind(record)), time.monotonic()
        if now - self._passed.get(kind, -self._seconds) < self._seconds:
            self._held[kind] = self._held.get(kind, 0) + 1
            return False
        if held := self._held.pop(kind, 0):
            record.msg, record.args = f"{record.getMessage()} ({held:,} more like this since)", None
        self._passed[kind] = now
        return True


def _kind(record: logging.LogRecord) -> str:
    """The message's first line without its numbers, which are those of sockets and clients."""
    first = str(record.msg).partition("\n")[0][:200]
    return "".join(character for character in first if not character.isdigit())


def _health_only(app: ASGIApp, settings: ServiceSettings) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        headers = {"Retry-After": str(settings.retry_after), "Connection": "close"}
        refusal = refused(503, "too many connections are open; ask again in a moment", headers)
        await (app if scope["path"] in RESERVED else refusal)(scope, receive, send)

    return answer


def _stop(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """None, which is what stands for a clock that does not run."""
    if timer is not None:
        timer.cancel()
    return None
