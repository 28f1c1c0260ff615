"""The mentions that a service has linked, in a file that people may review: texts and spans, never pictures."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from melder.records import MelderError, Mention

__all__ = ["MentionLog"]

BEGINNING = b'{"id": "'  # of every line

log = logging.getLogger(__name__)


class MentionLog:
    """JSON Lines of mentions, each span of a text once, which `melder link` and the page's Review read.

    Args:
        path: the file, made where there is none, for its owner's eyes only
        most_bytes: its size, beyond which nothing is added

    Raises:
        MelderError: It cannot be written, or holds something else.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self.path, self._most, self._lock, self._is_full = path, most_bytes, threading.Lock(), False
        try:
            with self._opened() as file:
                with path.open("rb") as lines:  # buffered: a raw file is read a byte at a time
                    _check_is_log(path, lines.readline())
                    lines.seek(0)
                    self._logged = {_digest(line) for line in lines}
                if file.tell() and not _ends_its_line(path):  # written by a process that was killed
                    file.write(b"\n")
        except OSError as error:
            raise MelderError(f"{path}: cannot be written ({error.strerror}); choose another with --log") from None

    def add(self, mentions: Iterable[Mention]) -> None:
        """Add those that are not there yet. What cannot be written is said in the service's log, and nobody waits."""
        with self._lock:
            lines = {_digest(line): line for line in map(_line, mentions)}
            new = {digest: line for digest, line in lines.items() if digest not in self._logged}
            if not new or self._is_full:
                return
            try:
                self._write(b"".join(new.values()))
                self._logged |= new.keys()
            except OSError as error:
                log.warning("%s: mentions cannot be added (%s)", self.path, error.strerror)

    def newest(self, count: int) -> bytes:
        """The lines of the newest mentions, the oldest of them first."""
        with self.path.open("rb") as file:
            with self._lock:  # nobody waits for the reading; what is added meanwhile is left out
                size = os.fstat(file.fileno()).st_size
            return b"".join(deque(_lines_until(file, size), count))

    def _write(self, content: bytes) -> None:
        with self._opened() as file:
            if file.tell() + len(content) > self._most:
                self._is_full = True
                log.warning("%s: has %d bytes; no more mentions are added, see log_bytes", self.path, file.tell())
            else:
                _write_whole(file, content)

    def _opened(self) -> FileIO:
        return FileIO(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+")


def _lines_until(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The lines of the first so many bytes."""
    for line in file:
        size -= len(line)
        if size < 0:
            return
        yield line


def _write_whole(file: FileIO, content: bytes) -> None:
    """Write all of it, or, on a disk that has room for a part only, nothing: half a line would spoil the next one."""
    size = file.tell()
    if file.write(content) != len(content):
        file.truncate(size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _check_is_log(path: Path, first: bytes) -> None:
    """Raises MelderError where the first line is of something else, which must not get lines of a log."""
    try:
        if first.endswith(b"\n"):
            Mention.model_validate_json(first)
        elif not BEGINNING.startswith(first[: len(BEGINNING)]):  # nothing, or what a process that was killed has begun
            raise ValueError
    except ValueError:
        raise MelderError(f"{path}: holds something else than mentions; name a new file with --log") from None


def _line(mention: Mention) -> bytes:
    """Without an answer, which nobody has given; its id is that of the text and the span."""
    fields = mention.model_dump(include={"text", "start", "end", "surface", "language"}, exclude_none=True)
    identity = hashlib.sha256(json.dumps(fields).encode()).hexdigest()[:16]
    return json.dumps({"id": identity, **fields}, ensure_ascii=False).encode() + b"\n"


def _digest(line: bytes) -> bytes:
    return hashlib.blake2b(line.strip(), digest_size=8).digest()


def _ends_its_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
