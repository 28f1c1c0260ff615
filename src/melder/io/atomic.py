"""The few file operations that what must never be half is written with: a crash leaves old or new, never between.

A file is written under another name, brought to the disk (fsync) and then renamed, which POSIX does at once; the
directory is brought to the disk too, or the new name could be lost with the power.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["PART", "finish_file", "remove", "replace_file", "replacing", "sync", "writing"]

PART = ".part"  # the end of names of what is not finished
WINDOWS = os.name == "nt"


def sync(path: Path) -> None:
    """Bring a file, or the names in a directory, to the disk."""
    if WINDOWS and path.is_dir():
        return  # directories cannot be opened there; NTFS keeps a journal of names
    descriptor = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path, *, attempt: bool = False) -> Iterator[Path]:
    """A path to write a file at, which is renamed to `path` when all of it is on the disk.

    A process that has mapped the old file keeps reading that one.

    Args:
        path: The name that the file gets; one of that name is replaced.
        attempt: Whether others may be writing the same file: each then writes at a path of its own.
    """
    partial = path.with_name(f"{path.name}-{uuid.uuid4().hex}{PART}" if attempt else path.name + PART)
    with _removed_unless_finished(partial, path):
        yield partial
        finish_file(partial, path)


def finish_file(part: Path, path: Path) -> None:
    """Bring a file that is whole to the disk and give it its name."""
    sync(part)
    os.replace(part, path)
    sync(path.parent)


def replace_file(path: Path, content: bytes | memoryview) -> None:
    """Write a file whole, in the place of one of that name: afterwards it is the old one or the new one."""
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(content)


@contextmanager
def writing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A directory to fill, which becomes `path` when everything in it is on the disk.

    What a crash left of an earlier attempt is removed first.

    Args:
        path: The name that the directory gets; it must not be there yet.
        durable: Whether a loss of power may not harm it; waiting for that takes milliseconds a file.
    """
    partial = path.with_name(path.name + PART)
    remove(partial)
    with _removed_unless_finished(partial, path):
        os.makedirs(partial)
        yield partial
        if durable:
            _sync_all(partial)
        os.rename(partial, path)
        sync(path.parent)


@contextmanager
def _removed_unless_finished(partial: Path, path: Path) -> Iterator[None]:
    """What fails leaves nothing in the way of others, on a full disk least of all; its error names the file."""
    try:
        yield
    except BaseException as error:
        with suppress(OSError):
            remove(partial)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def _sync_all(directory: Path) -> None:
    for folder, _, files in os.walk(directory, topdown=False):
        for name in files:
            sync(Path(folder, name))
        sync(Path(folder))


def remove(path: Path) -> None:
    """Remove a file or a directory with all that is in it; nothing happens when it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
