"""A service gives back what it freed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from melder.serving import batching
from melder.serving.batching import Batcher, Job
from melder.serving.measures import Measures
from melder.serving.memory import _trim, give_back
from melder.serving.settings import Settings

PIECE, PIECES = 64 * 1024, 1600  # too small to be mapped each by itself: a hundred megabytes together


def private() -> int:
    """Megabytes of this process that no file backs."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("RssAnon"))


@pytest.mark.skipif(sys.platform != "linux" or _trim() is None, reason="needs Linux and the GNU C library")
def test_pages_between_blocks_in_use_go_back_to_the_system() -> None:
    pieces = [bytearray(PIECE) for _ in range(PIECES)]
    kept = pieces[::100]
    full = private()
    del pieces
    give_back()
    assert private() < full - 60
    assert len(kept) == PIECES // 100


def test_it_is_given_back_between_batches_and_not_after_each(monkeypatch: pytest.MonkeyPatch) -> None:
    given, answered = list[int](), list[int]()

    async def answer(self: Batcher, batch: list[Job]) -> None:
        answered.append(len(batch))
        now[0] += 4

    async def batches(self: Batcher) -> list[Job]:
        return [object()] if len(answered) < 10 else []  # type: ignore[list-item]

    now = [0.0]
    monkeypatch.setattr(Batcher, "_answer", answer)
    monkeypatch.setattr(Batcher, "_next", batches)
    monkeypatch.setattr(batching, "give_back", lambda: given.append(len(answered)))
    monkeypatch.setattr(batching.time, "monotonic", lambda: now[0])
    asyncio.run(Batcher(Settings(), Measures()).run())
    assert given == [3, 6, 9]
