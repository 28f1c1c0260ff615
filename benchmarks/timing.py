"""What the benchmarks share: several ways of doing one thing, timed in turn, so that a busy moment falls on all."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping

__all__ = ["parser_of", "times_of"]


def parser_of(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """With the options that every benchmark of this kind has: `threads` and `rounds`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=rounds)
    return parser


def times_of(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, a time for each round."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    return times
