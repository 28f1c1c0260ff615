"""The few file operations that a knowledge base is written with, so that a crash leaves old or new, never between.

A file is written under another name, brought to the disk (fsync) and then renamed, which POSIX does at once; the
directory is brought to the disk too, or the new name could be lost with the power.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from melder.records import MelderError

__all__ = ["locked", "remove", "replace_file", "sync", "writing"]

PART = ".part"  # the end of names of what is not finished
PATIENCE = 10.0  # seconds that a writer waits for another: an addition is over by then, a build is not


def sync(path: Path) -> None:
    """Bring a file, or the names in a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole, in the place of one of that name: afterwards it is the old one or the new one."""
    part = path.with_name(path.name + PART)
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    sync(path.parent)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A directory to fill, which becomes `path` when everything in it is on the disk.

    What a crash left of an earlier attempt is removed first. `path` must not be there yet.
    """
    part = path.with_name(path.name + PART)
    remove(part)
    os.makedirs(part)
    yield part
    for folder, _, files in os.walk(part, topdown=False):
        for name in files:
            sync(Path(folder, name))
        sync(Path(folder))
    os.rename(part, path)
    sync(path.parent)


def remove(path: Path) -> None:
    """Remove a file or a directory with all that is in it; nothing happens when it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


@contextmanager
def locked(path: Path, busy: MelderError) -> Iterator[None]:
    """Hold the lock on a file, made where it is missing; the system gives it back when the process ends, however.

    Raises `busy` when another process still has it after `PATIENCE` seconds.
    """
    until = time.monotonic() + PATIENCE
    while (descriptor := _taken(path)) is None:
        if time.monotonic() > until:
            raise busy
        time.sleep(0.05)
    try:
        yield
    finally:
        os.close(descriptor)


def _taken(path: Path) -> int | None:
    """The open file, locked, unless another process has it or has removed it meanwhile."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
