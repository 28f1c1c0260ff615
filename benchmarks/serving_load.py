"""Clients of a service, and what its process takes: used by benchmarks/serving.py."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SECONDS = 60  # that a client waits: more than the service's deadline
QUIET = 5  # seconds after which a connection is not used again: the service closes it after ten
REFUSED = 503


@dataclass
class Measured:
    """What some clients saw in `seconds`: seconds to each answer by its status; `failed` are those without any.

    An open loop counts the seconds from when a request was due, so that none is spared by being sent late.
    """

    seconds: float = 0.0
    times: dict[int, list[float]] = field(default_factory=dict)
    unclean: int = 0  # refusals without Retry-After
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Links a second."""
        return len(self.times.get(200, [])) / self.seconds

    def percentiles(self, status: int = 200) -> tuple[float, float, float]:
        """p50, p95 and p99 in milliseconds."""
        times = sorted(self.times.get(status, [])) or [float("nan")]
        p50, p95, p99 = (1000 * times[min(int(len(times) * share), len(times) - 1)] for share in (0.5, 0.95, 0.99))
        return p50, p95, p99

    def statuses(self) -> str:
        counts = {str(status): len(times) for status, times in sorted(self.times.items())} | dict(self.failed)
        return ", ".join(f"{count:,} × {name}" for name, count in counts.items())


class Server:
    """A running `melder serve`, whose process can be looked at."""

    def __init__(self, url: str, process: int) -> None:
        self.url, self._process = url, Path(f"/proc/{process}")

    def private(self) -> float:
        """Anonymous resident memory in MB: what is the process's own."""
        return self._status("RssAnon") / 1024

    def threads(self) -> int:
        return self._status("Threads")

    def files(self) -> int:
        """Open file descriptors, sockets among them."""
        return len(os.listdir(self._process / "fd"))

    def _status(self, name: str) -> int:
        found = re.search(rf"^{name}:\s+(\d+)", (self._process / "status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1])


@contextmanager
def serving(knowledge_base: Path) -> Iterator[Server]:
    """A service in a process of its own, ended in order."""
    command = [sys.executable, "-c", "from melder.cli import main; main()", "serve", str(knowledge_base), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"at (http://\S+)$", line.strip())
        assert found, line + process.stderr.read()
        yield Server(found[1], process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        print(errors, end="", file=sys.stderr)


class Connections:
    """To a service, used again and again: as little as a client can cost, since it takes what the service lacks."""

    def __init__(self, server: Server) -> None:
        self._host, _, port = server.url.removeprefix("http://").partition(":")
        self._port = int(port)
        self._idle: list[tuple[Connection, float]] = []  # and since when
        head = f"POST /link HTTP/1.1\r\nhost: {self._host}:{port}\r\ncontent-type: application/json\r\n"
        self._head = f"{head}content-length: ".encode()

    async def link(self, body: bytes) -> bytes:
        """The head of the answer. Raises OSError, EOFError or asyncio.TimeoutError when there is none."""
        return await asyncio.wait_for(self._link(body), SECONDS)

    async def _link(self, body: bytes) -> bytes:
        reader, writer = connection = await self._connected()
        writer.write(self._head + f"{len(body)}\r\n\r\n".encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        found = re.search(rb"content-length: (\d+)", head)
        await reader.readexactly(int(found[1]) if found else 0)
        if b"connection: close" in head:
            writer.close()
        else:
            self._idle.append((connection, time.monotonic()))
        return head

    async def _connected(self) -> Connection:
        while self._idle:
            (reader, writer), since = self._idle.pop()
            if not reader.at_eof() and time.monotonic() < since + QUIET:
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)

    async def __aenter__(self) -> Connections:
        return self

    async def __aexit__(self, *raised: object) -> None:
        for (_, writer), _ in self._idle:
            writer.close()


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def closed_loop(server: Server, bodies: Sequence[bytes], count: int, seconds: float) -> Measured:
    """`count` clients, each of which asks again as soon as it has its answer."""
    measured, start = Measured(), time.monotonic()

    async def ask_on(first: int) -> None:
        place = first
        while time.monotonic() < start + seconds:
            await _ask(client, bodies[place % len(bodies)], time.monotonic(), measured)
            place += count

    async with Connections(server) as client:
        await asyncio.gather(*map(ask_on, range(count)))
    measured.seconds = time.monotonic() - start
    return measured


async def open_loop(server: Server, bodies: Sequence[bytes], rate: float, seconds: float) -> Measured:
    """`rate` requests a second, at random times (Poisson), whether or not earlier ones have been answered."""
    measured, draw, asked = Measured(), random.Random(0), set[asyncio.Task[None]]()
    async with Connections(server) as client:
        start = due = time.monotonic()
        while (due := due + draw.expovariate(rate)) < start + seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            asked.add(asyncio.ensure_future(_ask(client, bodies[len(asked) % len(bodies)], due, measured)))
        measured.seconds = time.monotonic() - start
        await asyncio.gather(*asked)
    return measured


async def recovery(server: Server, bodies: Sequence[bytes], usual: float, most: float) -> float:
    """Seconds until one client is answered within `usual` seconds, three times running; `most` when that never is."""
    start, good = time.monotonic(), 0
    async with Connections(server) as client:
        for body in list(bodies) * 1000:
            measured = Measured()
            await _ask(client, body, time.monotonic(), measured)
            good = good + 1 if measured.times.get(200, [usual + 1])[0] <= usual else 0
            if good == 3:
                return time.monotonic() - start
            if time.monotonic() > start + most:
                break
            await asyncio.sleep(0.05)
    return most


async def _ask(client: Connections, body: bytes, due: float, measured: Measured) -> None:
    try:
        head = await client.link(body)
    except (OSError, EOFError, asyncio.TimeoutError) as error:
        measured.failed[type(error).__name__] += 1
        return
    status = int(head[9:12])
    measured.times.setdefault(status, []).append(time.monotonic() - due)
    measured.unclean += status == REFUSED and b"\r\nretry-after:" not in head
