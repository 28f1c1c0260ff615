"""Bodies in many small chunks: each costs the event loop as much as a large one, and a byte on the wire may be one."""

from __future__ import annotations

from typing import Any

import h11

__all__ = ["ChunkCountingConnection"]

EXPECTED = 1000  # bytes of a chunk: what writes less at a time uses few


class ChunkCountingConnection(h11.Connection):
    """HTTP/1.1 of h11, in which a body has so many chunks and one more for each 1,000 bytes; more are no HTTP."""

    def __init__(self, chunks: int, longest: int) -> None:
        super().__init__(h11.SERVER, longest)
        self._most, self._chunks, self._bytes = chunks, 0, 0

    def next_event(self) -> Any:
        """The next event.

        Raises:
            h11.RemoteProtocolError: There are more chunks than a client needs.
        """
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks = self._bytes = 0
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_start
            self._bytes += len(event.data)
            if self._chunks > self._most + self._bytes // EXPECTED:
                raise h11.RemoteProtocolError("the body has too many small chunks")
        return event
