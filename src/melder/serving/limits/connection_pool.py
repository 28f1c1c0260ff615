"""The connections of a service: which of them wait for a request, and which of these ends when there are too many."""

from __future__ import annotations

from typing import Protocol

__all__ = ["ConnectionPool"]


class Closable(Protocol):
    """A connection that can be ended at once."""

    def abort(self) -> None: ...


class ConnectionPool:
    """Counts connections and keeps those that are silent, the longest silent first.

    Silent is a connection whose next request has not come to the end of its head: one that says nothing, drips, or is
    kept alive. Where there is no room the longest silent one ends for each new one, so that a flood of silent
    connections pushes itself out, and never a request that is being answered.

    Args:
        regular: Connections that may be busy at a time.
        reserve: More that are open, so that a request can be told that there are too many.
    """

    def __init__(self, regular: int, reserve: int) -> None:
        self._regular, self._most = regular, regular + reserve
        self._open = set[Closable]()
        self._silent = dict[Closable, None]()  # in the order in which they fell silent

    @property
    def is_overbooked(self) -> bool:
        """Whether more connections are busy than may be."""
        return len(self._open) - len(self._silent) > self._regular

    def add(self, connection: Closable) -> bool:
        """Take a new connection in, which is silent.

        Returns:
            Whether there is room for it; where there is none the caller ends it.
        """
        if len(self._open) >= self._most:
            self._end_longest_silent()
        if len(self._open) >= self._most:
            return False
        self._open.add(connection)
        self.mark_silent(connection)
        return True

    def mark_silent(self, connection: Closable) -> None:
        """It waits for a request; one that did so before keeps its turn."""
        if connection in self._open:
            self._silent.setdefault(connection)

    def mark_busy(self, connection: Closable) -> None:
        """A whole head has come."""
        self._silent.pop(connection, None)

    def discard(self, connection: Closable) -> None:
        """It has ended."""
        self._open.discard(connection)
        self._silent.pop(connection, None)

    def _end_longest_silent(self) -> None:
        longest = next(iter(self._silent), None)
        if longest is not None:
            self.discard(longest)  # the event loop tells of its end an iteration later, and others come meanwhile
            longest.abort()
