"""Opening a knowledge base, whether it is one directory or a set of shards."""

from __future__ import annotations

from pathlib import Path

from melder.kb.knowledge_base import KnowledgeBase
from melder.kb.manifest import SHARDS
from melder.kb.shards import ShardedKnowledgeBase

__all__ = ["open_knowledge_base"]


def open_knowledge_base(path: str | Path, *, trusted: bool = True) -> KnowledgeBase:
    """Open the current generation of a knowledge base, or the shards that a directory names, as one.

    Args:
        path: the directory of a knowledge base, or one that holds a `shards.json`.
        trusted: False: it is a stranger's, and is first checked against what it says of itself.

    Returns:
        The knowledge base, which stays as it is however it is changed meanwhile; close it when it is done with.

    Raises:
        MelderError: there is none, or a file is missing or cut short.
    """
    sharded = (Path(path) / SHARDS).is_file()
    kind = ShardedKnowledgeBase if sharded else KnowledgeBase
    return kind.open(path, trusted=trusted)
