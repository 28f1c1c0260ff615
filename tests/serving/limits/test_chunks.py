"""A body may come in chunks, and not in one for every byte."""

from __future__ import annotations

import h11
import pytest

from melder.serving.limits.chunks import ChunkCountingConnection

HEAD = b"POST /link HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


def events(content: bytes, chunks: int = 10) -> list[object]:
    """All that a request is read as."""
    connection, read = ChunkCountingConnection(chunks, 1 << 16), list[object]()
    connection.receive_data(HEAD + content)
    while not read or (read[-1] is not h11.NEED_DATA and not isinstance(read[-1], h11.EndOfMessage)):
        read.append(connection.next_event())
    return read


def chunk(length: int) -> bytes:
    return f"{length:x}\r\n".encode() + b" " * length + b"\r\n"


@pytest.mark.parametrize("length", [1, 2, 99])
def test_more_small_chunks_than_a_client_needs_are_refused(length: int) -> None:
    assert len(events(10 * chunk(length) + b"0\r\n\r\n")) == 12
    with pytest.raises(h11.RemoteProtocolError, match="too many small chunks"):
        events(1_000_000 // length * chunk(length))


def test_large_chunks_may_be_many() -> None:
    assert len(events(300 * chunk(1000) + b"0\r\n\r\n")) >= 302


def test_a_chunk_that_comes_in_pieces_is_one() -> None:
    connection = ChunkCountingConnection(10, 1 << 16)
    connection.receive_data(HEAD + b"3e8\r\n")
    connection.next_event()
    for _ in range(1000):
        connection.receive_data(b" ")
        assert isinstance(connection.next_event(), h11.Data)


def test_each_request_of_a_connection_is_counted_anew() -> None:
    connection, body = ChunkCountingConnection(10, 1 << 16), 9 * chunk(1) + b"0\r\n\r\n"
    for _ in range(3):
        connection.receive_data(HEAD + body)
        while not isinstance(connection.next_event(), h11.EndOfMessage):
            pass
        connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
        connection.send(h11.EndOfMessage())
        connection.start_next_cycle()
