"""What the benchmarks share: several ways of doing one thing, timed in turn, so that a busy moment falls on all; what
a process takes."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

__all__ = ["machine", "parser_of", "private_peak", "resident", "times_of"]


def machine(versions: Mapping[str, str]) -> str:
    """The processor, how busy it is, and the versions that numbers depend on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    processor = models[0].partition(": ")[2] if models else "unknown processor"
    used = ", ".join(f"{name} {each}" for name, each in versions.items())
    return f"{len(os.sched_getaffinity(0))} cores of {processor}; load {os.getloadavg()[0]:.1f} before; {used}"


def parser_of(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """With the options that every benchmark of this kind has: `threads` and `rounds`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=rounds)
    return parser


def resident() -> dict[str, float]:
    """RssAnon (no file backs it) and RssFile of this process, MB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(lines[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile")}


@contextmanager
def private_peak() -> Iterator[dict[str, float]]:
    """RssAnon of this process in MB, looked at a hundred times a second: `before`, and the `most` until the end."""
    peak, ended = {"before": resident()["RssAnon"], "most": resident()["RssAnon"]}, Event()

    def watch() -> None:
        while not ended.wait(0.01):
            peak["most"] = max(peak["most"], resident()["RssAnon"])

    thread = Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def times_of(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, a time for each round."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    return times
