"""Several knowledge bases as one: what one disk, or one process, is too small for.

A directory with shards.json names them, and each stays a knowledge base of its own, which can be changed, verified and
moved by itself. Together they are searched exactly as one that holds all their segments: its rows are those of the
first shard, then those of the second, and so on.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from threading import RLock

from melder.kb.exemplars import Exemplars, join_exemplars
from melder.kb.format.records import Records
from melder.kb.indexes import StoredIndex
from melder.kb.knowledge_base import KnowledgeBase
from melder.kb.manifest import (
    CURRENT,
    SHARDS,
    decides_sides,
)
from melder.kb.segment_reader import SegmentReader
from melder.kb.shard_list import check_free, check_no_set, shard_paths, shard_services, write_shards
from melder.kb.untrusted import check_tree
from melder.records import BadRecord, MelderError

__all__ = ["ShardedKnowledgeBase", "current_files", "join", "join_services", "version_of"]

AT_ONCE = 10_000  # ids that are looked up together


class ShardedKnowledgeBase(KnowledgeBase):
    """Knowledge bases of one model as one. It is read; changes are made to a shard.

    Args:
        directory: Of the set.
        shards: At least one, opened.
    """

    def __init__(self, directory: Path, shards: Sequence[KnowledgeBase]) -> None:
        self.directory = directory
        self.shards = shards
        segments = tuple(listed for shard in shards for listed in shard.generation.segments)
        number = sum(shard.generation.number for shard in shards)
        self.generation = shards[0].generation.model_copy(
            update={"number": number, "segments": segments, "indexes": (), "exemplars": ()}
        )
        self.skipped: list[BadRecord] = []
        self._open: OrderedDict[str, Records] = OrderedDict()
        self._lock = RLock()
        self.parts: list[SegmentReader] = [reader for shard in shards for reader in shard.parts]
        self._first = [0, *accumulate(len(reader) for reader in self.parts)]

    @staticmethod
    def over(paths: Sequence[Path]) -> ShardedKnowledgeBase:
        """Knowledge bases as one, for which no directory stands: it is called after the first.

        Raises:
            MelderError: One cannot be opened, has another model than the first, or an entity that is in another one.
        """
        shards = list[KnowledgeBase]()
        try:
            for directory in paths:
                check_no_set(directory)
                shards.append(KnowledgeBase.open(directory))
                _check_model(shards[0], shards[-1])
                for other in shards[:-1]:
                    _check_apart(shards[-1], other)
            return _Unnamed(paths[0], shards)
        except BaseException:
            for shard in shards:
                shard.close()
            raise

    @staticmethod
    def open(path: str | Path, *, trusted: bool = True) -> ShardedKnowledgeBase:
        """Raises MelderError when a shard cannot be opened, or has another model than the first; of a stranger's set
        also when one lies elsewhere."""
        if not trusted:
            check_tree(Path(path))
        shards = list[KnowledgeBase]()
        try:
            for directory in shard_paths(Path(path)):
                if not trusted and Path(path).resolve() not in directory.resolve().parents:
                    raise MelderError(f"{Path(path) / SHARDS}: names {directory}, which is outside the directory")
                shards.append(KnowledgeBase.open(directory, trusted=trusted))
                _check_model(shards[0], shards[-1])
            return ShardedKnowledgeBase(Path(path), shards)
        except BaseException:
            for shard in shards:
                shard.close()
            raise

    def close(self) -> None:
        for shard in self.shards:
            shard.close()

    @property
    def is_closed(self) -> bool:
        return any(shard.is_closed for shard in self.shards)

    @property
    def model(self) -> Path:
        """The run of the first shard, which is that of the others too."""
        return self.shards[0].model

    def check_model(self, run: Path | None = None) -> None:
        for shard in self.shards:
            shard.check_model(self.model if run is None else run)

    @property
    def searches(self) -> list[str]:
        return list(dict.fromkeys(search for shard in self.shards for search in shard.searches))

    def indexes(self, search: str) -> list[StoredIndex]:
        return [index for shard in self.shards for index in shard.indexes(search)]

    @property
    def exemplars(self) -> Exemplars:
        return join_exemplars([shard.exemplars for shard in self.shards])

    @property
    def is_current(self) -> bool:
        named = [shard.directory for shard in self.shards]
        return named == shard_paths(self.directory) and all(shard.is_current for shard in self.shards)

    @property
    def version(self) -> str:
        return "+".join(shard.version for shard in self.shards)


class _Unnamed(ShardedKnowledgeBase):
    """A set that no shards.json names."""

    @property
    def is_current(self) -> bool:
        return all(shard.is_current for shard in self.shards)


def current_files(path: Path) -> list[Path]:
    """The files that change with every change of a knowledge base, or of a set of shards.

    Args:
        path: Of a knowledge base or a set.

    Returns:
        Those to look at for a change.

    Raises:
        MelderError: Shards.json cannot be read.
    """
    if not (path / SHARDS).is_file():
        return [path / CURRENT]
    if shard_services(path) is not None:
        return [path / SHARDS]
    return [path / SHARDS, *(shard / CURRENT for shard in shard_paths(path))]


def version_of(path: Path) -> str:
    """The `version` that a knowledge base, or a set of shards, has if it is opened now.

    Args:
        path: Of a knowledge base or a set.

    Returns:
        Numbers of generations, joined by +.

    Raises:
        MelderError: Shards.json cannot be read.
    """
    named = [file for file in current_files(path) if file.name == CURRENT]
    return "+".join(file.read_text(encoding="ascii").partition(".")[0] for file in named)


def join(out: Path, shards: Sequence[Path]) -> int:
    """Make a directory name these knowledge bases.

    Args:
        out: Of the set, which is made.
        shards: Directories of knowledge bases.

    Returns:
        The number of entities.

    Raises:
        MelderError: One is such a set, has another model than the first, or an entity that is in another one.
    """
    check_free(out)
    for path in shards:
        check_no_set(path)
    opened = [KnowledgeBase.open(path) for path in shards]
    try:
        for number, shard in enumerate(opened):
            _check_model(opened[0], shard)
            for other in opened[:number]:
                _check_apart(shard, other)
        out.mkdir(parents=True, exist_ok=True)
        write_shards(out, [os.path.relpath(path, out) for path in shards])
        return sum(map(len, opened))
    finally:
        for shard in opened:
            shard.close()


def join_services(out: Path, addresses: Sequence[str], seconds: float | None) -> None:
    """Make a directory name services, each of which holds a shard.

    Args:
        out: Of the set, which is made.
        addresses: One a shard.
        seconds: What an answer may take; None = `SECONDS`.

    Raises:
        MelderError: One is named twice, or `out` is a knowledge base.
    """
    check_free(out)
    if len(set(addresses)) < len(addresses):
        raise MelderError("a service is named twice; give each shard once")
    out.mkdir(parents=True, exist_ok=True)
    write_shards(out, list(addresses), seconds)


def _check_model(first: KnowledgeBase, other: KnowledgeBase) -> None:
    """By the digests in the manifests; files are read through when a linker is opened."""
    ours, theirs = first.generation.settings.identity, other.generation.settings.identity
    files = [
        {name: file for name, file in identity.files.items() if decides_sides(name)} for identity in (ours, theirs)
    ]
    if (ours.method, ours.encoder, files[0]) != (theirs.method, theirs.encoder, files[1]):
        raise MelderError(
            f"{other.directory}: has another model than {first.directory}; build each shard with the same run, "
            f"such as `melder kb build {first.model} …`"
        )
    _check_tokens(first, other)


def _check_tokens(first: KnowledgeBase, other: KnowledgeBase) -> None:
    """Sides with merged tokens and such without do not go together: what a token counts is said in the former only."""
    if (first.generation.settings.tokens is None) != (other.generation.settings.tokens is None):
        raise MelderError(
            f"{other.directory}: tokens are merged there or in {first.directory}, but not in both; build either again "
            "with the --tokens of the other"
        )


def _check_apart(shard: KnowledgeBase, other: KnowledgeBase) -> None:
    for start in range(0, len(shard), AT_ONCE):
        both = other.rows([entity.id for entity in shard.entities[start : start + AT_ONCE]])
        if both:
            raise MelderError(
                f"{shard.directory}: holds {next(iter(both))!r}, as {other.directory} does; remove it from one of them"
            )
