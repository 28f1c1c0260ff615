"""What Melders of each version wrote, stored under tests/data/versions (make.py there says how)."""

from __future__ import annotations

import tarfile
from pathlib import Path

__all__ = ["SAMPLES", "unpacked"]

SAMPLES = Path(__file__).parent / "data/versions"


def unpacked(version: int, directory: Path) -> Path:
    """The directory, with what that version wrote in it: data, a run, a knowledge base, features, links and so on."""
    with tarfile.open(SAMPLES / f"{version}.tar.xz") as archive:
        archive.extractall(directory, filter="data")
    return directory
