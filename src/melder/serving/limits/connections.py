"""Connections that end: time limits for what clients send and read, and room for new ones when there are many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from melder.serving.limits.chunks import ChunkCountingConnection
from melder.serving.limits.connection_pool import ConnectionPool
from melder.serving.settings import ServiceSettings

__all__ = ["LimitedProtocol", "protocol_of"]

HEAD = 16_384  # bytes, where uvicorn is told nothing
LINGER = 5.0  # seconds in which the rest of an answer must be read once a connection is to close


class LimitedProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn, which waits neither for a head nor for a reader without end.

    A head must have come within `head_seconds` of the connection or, when one is used again, of its first byte; an
    answer must be read at some rate. Where too many are open the longest silent one gives its place to a new one.
    """

    def __init__(self, *arguments: Any, settings: ServiceSettings, pool: ConnectionPool, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._limits, self._pool = settings, pool
        longest = self.config.h11_max_incomplete_event_size or HEAD
        self.conn = ChunkCountingConnection(settings.chunks, longest)
        self._late: asyncio.TimerHandle | None = None  # for a head
        self._unread: asyncio.TimerHandle | None = None  # for an answer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not self._pool.add(self):
            self.abort()
        self._watch_head(begun=True)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._pool.discard(self)
        self._late = _stop(self._late)
        self._unread = _stop(self._unread)

    def abort(self) -> None:
        """End the connection at once; what was not sent yet is lost."""
        self.transport.abort()

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
            self._pool.mark_busy(self)
            self._late = _stop(self._late)
            return
        self._pool.mark_silent(self)
        if begun and self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(self._limits.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self.transport.close()
        self._linger()

    def _linger(self) -> None:
        """A closing connection waits for its reader, and not for ever."""
        self.loop.call_later(LINGER, self.transport.abort)


def protocol_of(settings: ServiceSettings, pool: ConnectionPool) -> Callable[..., LimitedProtocol]:
    """What uvicorn makes a protocol of each connection with."""

    def connect(*arguments: Any, **named: Any) -> LimitedProtocol:
        return LimitedProtocol(*arguments, settings=settings, pool=pool, **named)

    return connect


def _stop(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """None, which is what stands for a clock that does not run."""
    if timer is not None:
        timer.cancel()
    return None
