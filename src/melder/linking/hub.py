"""Linkers by name: of a directory, or of a repository of the Hugging Face hub."""

from __future__ import annotations

from abc import ABC
from pathlib import Path
from typing import Any

from melder.io.hub import download
from melder.linking.linker import BaseLinker
from melder.linking.load import load
from melder.protocols import Linker

__all__ = ["PretrainedLinker"]


class PretrainedLinker(ABC):  # noqa: B024  linkers are registered, and none inherits
    """Every linker; `melder.Linker.from_pretrained(NAME)` opens one."""

    @staticmethod
    def from_pretrained(name: str | Path, *, revision: str | None = None, **options: Any) -> Linker:
        """Open the knowledge base or the run of a directory, or of a repository of the Hugging Face hub.

        Args:
            name: A directory, or USER/NAME of a repository, which is downloaded into the hub's cache.
            revision: Of the repository: a branch, a tag or a commit.
            options: As `melder.load` takes them, such as data, candidates, device.

        Raises:
            MelderError: There is no such directory and no such repository, or it cannot be read.
        """
        path = Path(name)
        return load(path if path.is_dir() else download(str(name), revision), **options)


PretrainedLinker.register(BaseLinker)  # type: ignore[type-abstract]
