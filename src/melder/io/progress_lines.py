"""Progress as plain lines, for what is no terminal: a pipe, the log of a job, a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it imports PyTorch, and a command's first line should not wait for that
    from melder.protocols import Progress

__all__ = ["ProgressLines", "duration"]

EVERY = 30.0  # seconds between lines


class ProgressLines:
    """A `melder.protocols.Counting` that writes "training: 120 of 210, 1 min 30 s left" now and then.

    What takes less than `every` seconds leaves no line.

    Args:
        write: takes a line, without its end.
        every: seconds from the start to the first line, and from line to line.
        clock: the time in seconds.
    """

    def __init__(
        self, write: Callable[[str], None], every: float = EVERY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write, self._every, self._clock = write, every, clock

    def __call__(self, title: str, total: int) -> Progress:
        counted = 0
        written = self._clock()
        start: tuple[float, int] | None = None  # after the first advance, which may be of what was done before

        def advance(done: int) -> None:
            nonlocal counted, written, start
            counted, now = counted + done, self._clock()
            if start is None:
                start = now, counted
            if now - written < self._every or counted >= total:
                return
            written = now
            self._write(
                f"{title}: {counted:,} of {total:,}{_left(now - start[0], counted - start[1], total - counted)}"
            )

        return advance


def duration(seconds: float) -> str:
    """A time for people: "45 s", "1 min 30 s", "2 h 5 min"."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _left(seconds: float, done: int, todo: int) -> str:
    return f", {duration(seconds / done * todo)} left" if done else ""
