"""A log that stays short: a flood of requests must not become a flood of lines."""

from __future__ import annotations

import logging
import re
import time
from traceback import extract_tb

__all__ = ["RateLimit", "limit_log"]

VARIES = re.compile(r"0x[0-9a-f]+|\d")  # of sockets, clients, addresses in memory
KINDS = 1000  # that are remembered


class RateLimit(logging.Filter):
    """Lets one line of a kind pass in `seconds`, and says with the next one how many were held back.

    A kind is a logger, the message's first line before its arguments are filled in, and where an exception is from.
    """

    def __init__(self, seconds: float = 60.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._passed: dict[tuple[str, str], float] = {}
        self._held: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind, now = (record.name, _kind(record)), time.monotonic()
        if now - self._passed.get(kind, -self._seconds) < self._seconds:
            self._held[kind] = self._held.get(kind, 0) + 1
            return False
        if held := self._held.pop(kind, 0):
            record.msg, record.args = f"{record.getMessage()} ({held:,} more like this since)", None
        if len(self._passed) >= KINDS:
            self._passed.clear()
            self._held.clear()
        self._passed[kind] = now
        return True


def limit_log() -> None:
    """Rate-limit every line that this process logs, whichever library it is from."""
    handlers = [*logging.getLogger().handlers, *logging.getLogger("uvicorn").handlers]
    limit = RateLimit()
    for handler in filter(None, (logging.lastResort, *handlers)):
        handler.addFilter(limit)


def _kind(record: logging.LogRecord) -> str:
    first = VARIES.sub("", str(record.msg).partition("\n")[0][:200])
    if not record.exc_info or record.exc_info[2] is None:
        return first
    place = extract_tb(record.exc_info[2])[-1]
    return f"{first} {place.filename}:{place.lineno}"
