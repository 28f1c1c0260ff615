"""Kills a worker of a cluster that this process has started."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

__all__ = ["kill_a_worker"]


def kill_a_worker(name: str) -> list[int]:
    """From a thread: kill the first worker of the cluster that has `name` in its title, as soon as it can work."""
    killed: list[int] = []

    def watch() -> None:
        until = time.monotonic() + 600
        while not killed and time.monotonic() < until:
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    title = (process / "cmdline").read_bytes().decode()
                    ready = title.startswith("ray::") and name in title and "__init__" not in title
                    if ready and _is_ours(int(process.name)):
                        os.kill(int(process.name), signal.SIGKILL)
                        killed.append(int(process.name))
                        return
                except (OSError, UnicodeDecodeError):
                    continue
            time.sleep(0.01)

    threading.Thread(target=watch, daemon=True).start()
    return killed


def _is_ours(process: int) -> bool:
    """Whether it descends from this process: there may be other clusters."""
    while process > 1:
        if process == os.getpid():
            return True
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return False
