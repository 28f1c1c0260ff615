"""Locks between processes, which the system gives back when a process ends, however it ends.

A writer holds a file that is there to be locked (`exclusive_lock`, by filelock, on any system). A reader shares the
file that it reads (`share`), and a writer removes that file only if nobody shares it (`is_shared`). Of these two only
`flock` is capable, on open files that may be read-only; Windows lacks it, so that `check_flock` is asked first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from melder.records import MelderError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["check_flock", "exclusive_lock", "is_shared", "share"]

PATIENCE = 10.0  # seconds that a writer waits for another: an addition is over by then, a build is not


@contextmanager
def exclusive_lock(path: Path, busy: MelderError, *, waits: bool = True) -> Iterator[None]:
    """Hold the lock on a file, made where it is missing.

    Args:
        path: A file that holds nothing; whoever holds the lock may remove it.
        busy: What is raised when another holds the lock.
        waits: Whether `PATIENCE` seconds are waited for it to be free.
    """
    lock = FileLock(path, timeout=PATIENCE if waits else 0)
    try:
        lock.acquire()
    except Timeout:
        if not path.exists():  # nobody holds what cannot be made
            raise MelderError(f"{path}: cannot be made; write to another directory, or check its rights") from None
        raise busy from None
    try:
        yield
    finally:
        lock.release()


def check_flock(what: Path) -> None:
    """Raises MelderError where no process can say that it reads a file: what others read would be removed."""
    if fcntl is None:
        raise MelderError(
            f"{what}: this system (Windows) cannot tell who reads a knowledge base, so that none is changed here; "
            "build another with `melder kb build`, or change it on Linux, on macOS or in WSL"
        )


def share(descriptor: int) -> None:
    """Lock an open file as one of its readers, until it is closed.

    Nothing happens where there are no such locks: on Windows nobody changes what is read, and a file system without
    locks has no writers either, as far as this machine can tell.
    """
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)


def is_shared(descriptor: int) -> bool:
    """Whether a process reads an open file, or might; if none does, the file stays locked until it is closed."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
