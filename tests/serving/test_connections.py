"""Connections: what says nothing, drips, or does not read is closed; health is answered when there are too many."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
import uvicorn

from melder.serving import ServiceSettings, create_application, listen
from melder.serving.connections import protocol_of
from melder.serving.run import fit_connections
from serving.toy import ToySource

Serve = Callable[..., tuple[str, int]]
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a service of the toys that listens on loopback."""
    with ExitStack() as ending:

        def served(**settings: object) -> tuple[str, int]:
            source, limits = ToySource(), ServiceSettings(**settings)
            app = create_application(source, source.open(), limits)
            config = uvicorn.Config(
                app,
                http=protocol_of(limits),  # type: ignore[arg-type]
                ws="none",
                log_level="critical",
                timeout_keep_alive=limits.idle_seconds,
            )
            server, listener = uvicorn.Server(config), listen("127.0.0.1", 0)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            ending.callback(thread.join, 30)
            ending.callback(setattr, server, "should_exit", True)
            while not server.started:
                time.sleep(0.01)
            return listener.getsockname()[:2]

        yield served


def answer(connection: socket.socket) -> bytes:
    """All that comes until the other side ends."""
    connection.settimeout(20)
    content = b""
    try:
        while some := connection.recv(65_536):
            content += some
    except ConnectionResetError:
        pass
    return content


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /healthz HT",
        HEALTH,
        HEALTH + b"\r\n" + b"GET /heal",
    ],
    ids=["silent", "half a line", "half a head", "the second head"],
)
def test_a_head_that_does_not_come_ends_the_connection(serve: Serve, begun: bytes) -> None:
    address = serve(head_seconds=0.3, idle_seconds=60)
    with closing(socket.create_connection(address)) as connection:
        connection.sendall(begun)
        content = answer(connection)
    assert content.count(b"200 OK") == begun.count(b"\r\n\r\n")


def test_a_head_that_drips_ends_the_connection(serve: Serve) -> None:
    address = serve(head_seconds=0.5)
    with closing(socket.create_connection(address)) as connection:
        connection.sendall(HEALTH)
        with pytest.raises(OSError):
            drip(connection)


def drip(connection: socket.socket) -> None:
    for _ in range(200):
        connection.sendall(b"X: y\r\n")
        time.sleep(0.05)


def test_a_connection_that_is_idle_is_closed_and_a_used_one_is_not(serve: Serve) -> None:
    address = serve(idle_seconds=2, head_seconds=60)
    with closing(socket.create_connection(address)) as connection:
        for _ in range(3):
            connection.sendall(HEALTH + b"\r\n")
            content = b""
            while not content.endswith(b'"ok"}'):
                content += connection.recv(65_536)
            assert content.startswith(b"HTTP/1.1 200 OK")
        assert answer(connection) == b""


def test_beyond_the_cap_only_health_is_answered_and_beyond_the_reserve_nothing(serve: Serve) -> None:
    address = serve(connections=3, connections_reserve=2, head_seconds=60)
    with ExitStack() as opened:

        def opening() -> socket.socket:
            return opened.enter_context(closing(socket.create_connection(address)))

        silent = [opening() for _ in range(3)]
        time.sleep(0.3)
        first, second = opening(), opening()
        first.sendall(HEALTH + b"\r\n")
        first.settimeout(20)
        assert b"200 OK" in first.recv(65_536)
        second.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        refused = answer(second)
        assert b"503" in refused.split(b"\r\n")[0]
        assert b"retry-after: 2" in refused.lower()
        time.sleep(0.3)
        extra = [opening() for _ in range(2)]
        extra[1].settimeout(20)
        assert answer(extra[1]) == b""
        for connection in silent:
            connection.close()
        time.sleep(0.3)
        again = opening()
        again.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"200 OK" in answer(again)


def test_the_limit_of_files_is_raised_or_the_cap_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(256, 4096), (256, 256), (100, 100), (100_000, 100_000), (resource.RLIM_INFINITY, resource.RLIM_INFINITY)]
    caps = list[tuple[int, int]]()
    for soft, hard in limits:
        set_to = [soft]
        monkeypatch.setattr(resource, "getrlimit", lambda kind, both=(soft, hard): both)
        monkeypatch.setattr(resource, "setrlimit", lambda kind, both, set_to=set_to: set_to.append(both[0]))
        caps.append((fit_connections(ServiceSettings()).connections, set_to[-1]))
    assert caps == [(512, 784), (112, 256), (1, 100), (512, 100_000), (512, resource.RLIM_INFINITY)]
