"""The service of benchmarks/soak.py, and what its process holds."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attacks import Service
from attacks import serving as started

__all__ = ["SoakService", "serving"]


class SoakService(Service):
    """A `melder serve` that may be changed, with one thread."""

    token = ""

    def held(self) -> dict[str, float]:
        """Its own memory in MB, what it has mapped of files besides, and numbers of descriptors, maps and threads."""
        process = Path(f"/proc/{self.process.pid}")
        return {
            "memory": self.megabytes("RssAnon"),
            "files": self.megabytes("RssFile"),
            "descriptors": len(os.listdir(process / "fd")),
            "maps": (process / "maps").read_text().count("\n"),
            "threads": len(os.listdir(process / "task")),
        }


@contextmanager
def serving(knowledge_base: Path, folder: Path) -> Iterator[SoakService]:
    token, file = secrets.token_hex(16), folder / "token"
    file.write_text(token)
    os.environ["OMP_NUM_THREADS"] = "1"
    with started(knowledge_base, None, options=("--token-file", str(file))) as service:
        soaked = SoakService(service.process, service.url)
        soaked.token = token
        try:
            yield soaked
        finally:
            soaked.log = service.log
