"""Connections: what says nothing, drips, or does not read is closed; health is answered when there are too many."""

from __future__ import annotations

import asyncio
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from melder.serving import ServiceSettings, create_application, listen
from melder.serving.limits.connection_gate import Turns
from melder.serving.limits.connection_pool import ConnectionPool
from melder.serving.run import Server, fit_connections
from serving.toy import ToySource

Serve = Callable[..., tuple[str, int]]
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
DESCRIPTION = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a service of the toys that listens on loopback."""
    with ExitStack() as ending:

        def served(**settings: object) -> tuple[str, int]:
            source, limits = ToySource(), ServiceSettings(**settings)
            app = create_application(source, source.open(), limits)
            server, listener = Server(app, limits), listen("127.0.0.1", 0)
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


def test_a_body_in_chunks_of_one_byte_is_refused(serve: Serve) -> None:
    head = b"POST /link HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with closing(socket.create_connection(serve(chunks=20))) as connection:
        connection.sendall(head + 100 * b"1\r\n \r\n")
        assert answer(connection).startswith(b"HTTP/1.1 400 ")


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


def healthy(connection: socket.socket) -> None:
    """Read one answer of /healthz."""
    content = b""
    while not content.endswith(b'"ok"}'):
        content += connection.recv(65_536)
    assert content.startswith(b"HTTP/1.1 200 OK")


def test_a_connection_that_is_idle_is_closed_and_a_used_one_is_not(serve: Serve) -> None:
    address = serve(idle_seconds=2, head_seconds=60)
    with closing(socket.create_connection(address)) as connection:
        for _ in range(3):
            connection.sendall(HEALTH + b"\r\n")
            healthy(connection)
        assert answer(connection) == b""


@pytest.fixture
def opening() -> Iterator[Callable[..., socket.socket]]:
    with ExitStack() as opened:

        def opens(address: tuple[str, int], content: bytes = b"") -> socket.socket:
            connection = opened.enter_context(closing(socket.create_connection(address)))
            connection.settimeout(20)
            connection.sendall(content)
            return connection

        yield opens


def test_at_the_cap_the_longest_silent_connection_gives_its_place(
    serve: Serve, opening: Callable[..., socket.socket]
) -> None:
    address = serve(connections=2, connections_reserve=1, head_seconds=60, idle_seconds=60)
    kept_alive = opening(address, HEALTH + b"\r\n")
    healthy(kept_alive)
    silent = opening(address)
    begun = opening(address, b"GET /heal")
    time.sleep(0.3)
    for oldest in (kept_alive, silent, begun):
        newest = opening(address, HEALTH + b"\r\n")
        healthy(newest)
        assert answer(oldest) == b""


def test_a_flood_of_silent_connections_does_not_keep_others_out(
    serve: Serve, opening: Callable[..., socket.socket]
) -> None:
    address = serve(connections=16, connections_reserve=8, head_seconds=60)
    for number in range(60):
        opening(address, b"" if number % 3 else b"GET /healthz HTTP/1.1\r\nHost: local")
        if number % 10 == 0:
            asked = opening(address, DESCRIPTION)
            assert b"200 OK" in answer(asked)


def until(status: bytes, connect: Callable[[], socket.socket]) -> bytes:
    """The first answer with a status, each asked on a connection of its own."""
    for _ in range(400):
        content = answer(connect())
        if status in content.split(b"\r\n")[0]:
            return content
        time.sleep(0.05)
    raise AssertionError(f"never{status.decode()}: {content!r}")


def test_where_too_many_are_answered_only_health_is(serve: Serve, opening: Callable[..., socket.socket]) -> None:
    address = serve(connections=3, connections_reserve=2, head_seconds=60, body_seconds=60)
    body = b"POST /link HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    busy = [opening(address, body) for _ in range(3)]
    refused = until(b" 503 ", lambda: opening(address, DESCRIPTION))  # the busy ones have been taken then
    assert b"retry-after: 2" in refused.lower()
    healthy(opening(address, HEALTH + b"\r\n"))
    for connection in busy:
        connection.close()
    until(b" 200 ", lambda: opening(address, DESCRIPTION))


class Connection:
    def __init__(self) -> None:
        self.ended = False

    def abort(self) -> None:
        self.ended = True


def test_where_all_are_busy_there_is_no_room() -> None:
    pool, connections = ConnectionPool(2, 1), [Connection() for _ in range(6)]
    states = list[tuple[bool, bool]]()
    for connection in connections[:4]:
        states.append((pool.add(connection), pool.is_overbooked))
        pool.mark_busy(connection)
    assert states == [(True, False), (True, False), (True, False), (False, True)]
    pool.mark_silent(connections[3])  # which is not in it
    pool.mark_silent(connections[1])
    assert not pool.is_overbooked
    assert pool.add(connections[4])
    assert [connection.ended for connection in connections] == [False, True, False, False, False, False]
    for connection in (connections[0], connections[2], connections[4]):
        pool.discard(connection)
    assert pool.add(connections[5])


def test_few_requests_begin_in_one_turn_of_the_event_loop_and_all_in_order() -> None:
    async def begun_by_turn() -> list[list[int]]:
        turns, begun = Turns(3), list[int]()

        async def request(number: int) -> None:
            await turns.take()
            begun.append(number)

        tasks = [asyncio.create_task(request(number)) for number in range(10)]
        tasks[5].cancel()
        counts = list[list[int]]()
        while not all(task.done() for task in tasks):
            done = len(begun)
            await asyncio.sleep(0)
            counts.append(begun[done:])
        return [numbers for numbers in counts if numbers]

    counts = asyncio.run(begun_by_turn())
    assert [number for numbers in counts for number in numbers] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert max(map(len, counts)) == 3


def test_the_limit_of_files_is_raised_or_the_cap_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(256, 4096), (256, 256), (100, 100), (100_000, 100_000), (resource.RLIM_INFINITY, resource.RLIM_INFINITY)]
    caps = list[tuple[int, int]]()
    for soft, hard in limits:
        set_to = [soft]
        monkeypatch.setattr(resource, "getrlimit", lambda kind, both=(soft, hard): both)
        monkeypatch.setattr(resource, "setrlimit", lambda kind, both, set_to=set_to: set_to.append(both[0]))
        caps.append((fit_connections(ServiceSettings()).connections, set_to[-1]))
    assert caps == [(512, 784), (112, 256), (1, 100), (512, 100_000), (512, resource.RLIM_INFINITY)]
