"""What `melder serve` is given: a knowledge base, a set of shards, or a run and a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from melder.kb import is_knowledge_base
from melder.kb.manifest import SHARDS
from melder.kb.shard_list import shard_services
from melder.languages import AS_WRITTEN, Languages
from melder.records import MelderError
from melder.serving.knowledge_base import KnowledgeBaseSource, ReadOnlySource
from melder.serving.remote import RemoteSource
from melder.serving.source import DataSetSource, ServedSource

__all__ = ["source_of"]


def source_of(
    path: Path,
    data: Path | None,
    changes: Sequence[str] = (),
    candidates: str | None = None,
    languages: Languages = AS_WRITTEN,
) -> ServedSource:
    """Entities are shown in `languages`. `changes` are settings of the method in the place of the run's; `candidates`
    names a search.

    Raises:
        MelderError: There is nothing, when the data set of a run is not named, or when one is named for a knowledge
            base.
    """
    if is_knowledge_base(path):
        if data is not None:
            raise MelderError(f"{path}: is a knowledge base, which holds what is searched; leave out --data")
        if shard_services(path) is not None:
            return RemoteSource(path, changes, candidates, languages)
        kind = ReadOnlySource if (path / SHARDS).is_file() else KnowledgeBaseSource
        return kind(path, changes, candidates, languages)
    if not path.is_dir():
        raise MelderError(f"{path}: there is no such directory; name a knowledge base, or a run and its data set")
    if data is None:
        raise MelderError(f"{path}: name the data set to search as well: melder serve {path} --data DIRECTORY")
    return DataSetSource(path, data, changes, candidates, languages)
