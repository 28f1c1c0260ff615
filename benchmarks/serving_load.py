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

import httpx2

SECONDS = 60  # that a client waits: more than the service's deadline
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


def clients(server: Server) -> httpx2.AsyncClient:
    """As many connections as there are requests."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx2.AsyncClient(base_url=server.url, timeout=SECONDS, limits=limits)


async def closed_loop(server: Server, bodies: Sequence[bytes], count: int, seconds: float) -> Measured:
    """`count` clients, each of which asks again as soon as it has its answer."""
    measured, start = Measured(), time.monotonic()

    async def ask_on(first: int) -> None:
        place = first
        while time.monotonic() < start + seconds:
            await _ask(client, bodies[place % len(bodies)], time.monotonic(), measured)
            place += count

    async with clients(server) as client:
        await asyncio.gather(*map(ask_on, range(count)))
    measured.seconds = time.monotonic() - start
    return measured


async def open_loop(server: Server, bodies: Sequence[bytes], rate: float, seconds: float) -> Measured:
    """`rate` requests a second, at random times (Poisson), whether or not earlier ones have been answered."""
    measured, draw, asked = Measured(), random.Random(0), set[asyncio.Task[None]]()
    async with clients(server) as client:
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
    async with clients(server) as client:
        for body in bodies * 1000:
            measured = Measured()
            await _ask(client, body, time.monotonic(), measured)
            good = good + 1 if measured.times.get(200, [usual + 1])[0] <= usual else 0
            if good == 3:
                return time.monotonic() - start
            if time.monotonic() > start + most:
                break
            await asyncio.sleep(0.05)
    return most


async def _ask(client: httpx2.AsyncClient, body: bytes, due: float, measured: Measured) -> None:
    try:
        answer = await client.post("/link", content=body)
    except httpx2.HTTPError as error:
        measured.failed[type(error).__name__] += 1
        return
    measured.times.setdefault(answer.status_code, []).append(time.monotonic() - due)
    measured.unclean += answer.status_code == REFUSED and "retry-after" not in answer.headers
