"""Runs the application: a socket, uvicorn, and an orderly end on SIGTERM."""

from __future__ import annotations

import logging
import os
import signal
import socket

import uvicorn
from fastapi import FastAPI

from melder.io.open_files import allow_open_files
from melder.records import MelderError
from melder.serving.limits.connection_gate import ConnectionGate
from melder.serving.limits.connection_pool import ConnectionPool
from melder.serving.limits.connections import protocol_of
from melder.serving.limits.log_limit import limit_log
from melder.serving.settings import ServiceSettings

__all__ = ["LOOPBACK", "Server", "fit_connections", "listen", "run"]

log = logging.getLogger(__name__)
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")  # names in a Host header that mean this machine
AT_ONCE = 4  # connections that asyncio takes before others have a turn: a fraction of the reserve, or what they send
#              would be read too late
BACKLOG = 1024  # connections that the system holds until they are taken: those it drops try again a second later
OTHER_FILES = 256  # open files apart from connections: a knowledge base has some for each segment
HEAD = 65_536  # bytes of a request's first line and headers, queries by GET among them


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections.

    Raises:
        MelderError: The address is taken or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise MelderError(f"{host} port {port}: {reason}; choose others with --host, --port") from None
    # Connections inherit it. Without, a body waits 40 ms for the client to say that it has the head: asyncio sees to
    # that only for sockets that name their protocol, which these do not.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class Server(uvicorn.Server):
    """uvicorn with Melder's limits on connections and bodies.

    Args:
        app: What answers.
        settings: Its limits; `connections` as many as the process may have files for (`fit_connections`).
    """

    def __init__(self, app: FastAPI, settings: ServiceSettings) -> None:
        pool = ConnectionPool(settings.connections, settings.connections_reserve)
        config = uvicorn.Config(
            ConnectionGate(app, pool, settings),
            http=protocol_of(settings, pool),  # type: ignore[arg-type]
            backlog=AT_ONCE,
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_level="warning",
            access_log=False,  # queries may hold what is private
            server_header=False,
            proxy_headers=False,  # addresses of clients play no part; --public-url says where clients reach it
            timeout_keep_alive=settings.idle_seconds,
            timeout_graceful_shutdown=settings.drain,
            h11_max_incomplete_event_size=HEAD,
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; asyncio has one number for what it takes at once and for what the system holds meanwhile."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)


def run(app: FastAPI, listener: socket.socket, settings: ServiceSettings) -> None:
    """Serve until SIGTERM or Ctrl+C; then finish what has begun, for `drain` seconds at most."""
    server = Server(app, fit_connections(settings))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ended)  # uvicorn raises what it caught once more, when all is done
    limit_log()
    app.openapi()  # builds every route, which FastAPI would do while the first request of each waits
    server.run(sockets=[listener])


def fit_connections(settings: ServiceSettings) -> ServiceSettings:
    """The settings, with as many connections as this process may have files for; its own limit is raised first."""
    wanted = settings.connections + settings.connections_reserve + OTHER_FILES
    allowed = allow_open_files(wanted)
    if allowed is None or allowed >= wanted:
        return settings
    fewer = max(1, allowed - OTHER_FILES // 2 - settings.connections_reserve)
    log.warning("only %d files may be open: at most %d connections are taken (ulimit -n)", allowed, fewer)
    return settings.model_copy(update={"connections": min(settings.connections, fewer)})


def _ended(number: int, frame: object) -> None: ...
