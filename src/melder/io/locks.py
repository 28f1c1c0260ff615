"""Locks on open files, which the system gives back when a process ends, however it ends."""

from __future__ import annotations

import fcntl

__all__ = ["locked_alone"]


def locked_alone(descriptor: int) -> bool:
    """Take the lock on an open file, unless another process has it or the file system knows none; says whether."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
