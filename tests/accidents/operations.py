"""Counts the operations that a process changes the disk with, and lets something happen at any of them.

`in_a_child` forks, which costs milliseconds where a new interpreter costs seconds. The child numbers its moments:
before and after each change of names (rename, mkdir, unlink, …), before each opening to write, before what is written
to a file and in the middle of it, after each fsync and each statement of SQLite. Opening and changes of names are seen
by an audit hook, which nothing escapes; reading changes nothing and is not counted.
"""

from __future__ import annotations

import builtins
import errno
import gc
import io
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["NO_ROOM", "READ_ONLY", "Ended", "die", "in_a_child"]

NAMES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}  # audit events
FUNCTIONS = ("rename", "replace", "remove", "unlink", "mkdir", "rmdir")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

Action = Callable[[str], None]  # told what is about to happen, or has just happened


@dataclass(frozen=True)
class Ended:
    """How a child ended: killed, or with a status; and how many moments it came to."""

    killed: bool
    status: int
    moments: tuple[str, ...]


def die(moment: str) -> None:
    """As the kernel's out-of-memory killer does it: nothing more is run, no buffer is written."""
    os.kill(os.getpid(), signal.SIGKILL)


def _refuse(number: int) -> Action:
    """The disk says no, with this error."""

    def action(moment: str) -> None:
        if not moment.startswith("after"):
            raise OSError(number, os.strerror(number))

    return action


def in_a_child(work: Callable[[], object], action: Action = die, *, at: int = 0, onwards: bool = False) -> Ended:
    """Do some work in a forked process, with an action at its n-th moment (0: at none), or at that and all later ones.

    A MelderError or an OSError ends the child with status 2, anything else with 1 and its traceback.
    """
    ours, theirs = os.pipe()
    gc.freeze()
    child = os.fork()
    if not child:
        os.close(ours)
        os._exit(_status(work, _Moments(action, at, onwards, theirs)))
    os.close(theirs)
    with os.fdopen(ours, "rb") as told:
        moments = told.read().decode().splitlines()
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return Ended(killed, -1 if killed else os.waitstatus_to_exitcode(status), tuple(moments))


def _status(work: Callable[[], object], moments: _Moments) -> int:
    from melder.records import MelderError

    try:
        moments.watch()
        work()
    except (MelderError, OSError) as error:
        return 2 if isinstance(error, MelderError) or error.errno else _told()
    except BaseException:
        return _told()
    return 0


def _told() -> int:
    traceback.print_exc()
    sys.stderr.flush()
    return 1


class _Moments:
    def __init__(self, action: Action, at: int, onwards: bool, pipe: int) -> None:
        self.action, self.at, self.onwards, self.pipe = action, at, onwards, pipe
        self.count = 0

    def watch(self) -> None:
        sys.addaudithook(self._audit)
        for name in FUNCTIONS:
            setattr(os, name, self._around(getattr(os, name), f"os.{name}"))
        fsync = self._around(lambda descriptor: None, "os.fsync")
        os.fsync = fsync  # a killed process loses nothing that it wrote: that needs the power to go
        os.sendfile = self._around(os.sendfile, "os.sendfile")
        io.open = builtins.open = self._open(open)  # type: ignore[assignment]
        sqlite3.connect = self._connect(sqlite3.connect)  # type: ignore[assignment]

    def at_moment(self, name: str) -> None:
        self.count += 1
        os.write(self.pipe, f"{name}\n".encode())
        if self.at and (self.count == self.at or (self.onwards and self.count > self.at)):
            self.action(name)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in NAMES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING):
            self.at_moment(f"before {event}")

    def _around(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def around(*arguments: Any, **named: Any) -> Any:
            answer = function(*arguments, **named)
            self.at_moment(f"after {name}")
            return answer

        return around

    def _open(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def opened(path: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            file = function(path, mode, *arguments, **named)
            return file if mode in ("r", "rb") or isinstance(path, int) else _Halved(file, self.at_moment)

        return opened

    def _connect(self, function: Callable[..., Any]) -> Callable[..., Any]:
        moments = self

        class Connection(sqlite3.Connection):
            pass

        for name in ("execute", "executemany", "executescript"):
            plain = getattr(sqlite3.Connection, name)
            setattr(Connection, name, moments._around(plain, f"sqlite3.{name}"))

        def connected(path: Any, *arguments: Any, **named: Any) -> Any:
            reads = "mode=ro" in str(path)
            return function(path, *arguments, **named, **({} if reads else {"factory": Connection}))

        return connected


class _Halved:
    """A file whose contents reach the system in two halves, as late as a buffer lets them."""

    def __init__(self, file: Any, at_moment: Callable[[str], None]) -> None:
        self._file, self._at_moment = file, at_moment
        self._waiting: list[Any] = []
        self._place = file.tell()

    def write(self, content: Any) -> int:
        content = content if isinstance(content, str) else bytes(content)
        self._waiting.append(content)
        self._place += len(content)
        return len(content)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def tell(self) -> int:
        return int(self._place)

    def flush(self) -> None:
        content = ("" if self._waiting and isinstance(self._waiting[0], str) else b"").join(self._waiting)
        self._waiting = []
        if content:
            half = len(content) // 2
            self._at_moment("before write")
            self._file.write(content[:half])
            self._file.flush()
            self._at_moment("in the middle of write")
            self._file.write(content[half:])
            self._file.flush()

    def fileno(self) -> int:
        self.flush()
        return int(self._file.fileno())

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __iter__(self) -> Any:
        return iter(self._file)

    def __enter__(self) -> _Halved:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


NO_ROOM, READ_ONLY = _refuse(errno.ENOSPC), _refuse(errno.EROFS)
