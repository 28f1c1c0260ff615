"""A stored index of a stranger, opened in a process of its own first: a damaged graph ends that one only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from melder.records import MelderError

__all__ = ["try_in_child"]

SECONDS = 8  # by the clock, and of processor time: opening maps a file, and a search takes milliseconds
LIMITS = f"""
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
except ImportError:
    pass
"""


def try_in_child(program: str, directory: Path) -> None:
    """Open an index and search in it, in a child with limits.

    Args:
        program: Python that does so with the directory `sys.argv[1]`; empty: the index is of plain arrays.
        directory: Where the index is stored.

    Raises:
        MelderError: The child did not come to its end.
    """
    if not program:
        return
    command = [sys.executable, "-I", "-c", LIMITS + program, str(directory)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        reason = f"ended with status {done.returncode}"
    except subprocess.TimeoutExpired:
        done, reason = None, f"did not end within {SECONDS} seconds"
    if done is None or done.returncode:
        raise MelderError(
            f"{directory}: cannot be opened safely (a trial {reason}); link without --candidates, or make the index "
            "again with `melder kb index`"
        )
