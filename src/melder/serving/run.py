"""Runs the application: a socket, uvicorn, and an orderly end on SIGTERM."""

from __future__ import annotations

import os
import signal
import socket

import uvicorn
from fastapi import FastAPI

from melder.records import MelderError
from melder.serving.settings import ServiceSettings

__all__ = ["LOOPBACK", "listen", "run"]

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")  # names in a Host header that mean this machine
KEEP_ALIVE = 10  # seconds that a quiet connection stays open: longer than a client pauses between two batches
HEAD = 65_536  # bytes of a request's first line and headers, queries by GET among them


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections. Raises MelderError when the address is taken or not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise MelderError(f"{host} port {port}: {reason}; choose others with --host, --port") from None
    # Connections inherit it. Without, a body waits 40 ms for the client to say that it has the head: asyncio sees to
    # that only for sockets that name their protocol, which these do not.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def run(app: FastAPI, listener: socket.socket, settings: ServiceSettings) -> None:
    """Serve until SIGTERM or Ctrl+C; then finish what has begun, for `drain` seconds at most."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_level="warning",
        access_log=False,  # queries may hold what is private
        server_header=False,
        proxy_headers=False,  # addresses of clients play no part; --public-url says where clients reach it
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=settings.drain,
        h11_max_incomplete_event_size=HEAD,
    )
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, _ended)  # uvicorn raises what it caught once more, when all is done
    uvicorn.Server(config).run(sockets=[listener])


def _ended(number: int, frame: object) -> None: ...
