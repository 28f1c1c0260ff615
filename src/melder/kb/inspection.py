"""What a knowledge base holds and takes, and whether all of it is as it was written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from melder.kb.compaction import to_merge
from melder.kb.knowledge_base import KnowledgeBase
from melder.records import MelderError

__all__ = ["faults", "information"]


def faults(base: KnowledgeBase, progress: Callable[[int], None] | None = None) -> list[str]:
    """Read every file through; one line for each fault. `progress` is told of each segment."""
    found = []
    for part in base.parts:
        found += part.segment.faults()
        if progress is not None:
            progress(1)
    try:
        base.check_model()
    except MelderError as error:
        found.append(str(error))
    return found


def information(base: KnowledgeBase) -> dict[str, Any]:
    """Counts, and bytes an entity of each kind of file; removed rows count until they are compacted away."""
    generation = base.generation
    rows = sum(listed.rows for listed in generation.segments)
    return {
        "directory": str(base.directory),
        "entities": len(base),
        "generation": generation.number,
        "melder": generation.melder,
        "method": generation.settings.identity.method,
        "encoder": generation.settings.identity.encoder,
        "sides": generation.settings.kind,
        "pictures": generation.settings.pictures,
        "pictures_stored": sum(part.segment.description.pictures for part in base.parts),
        "segments": len(base.parts),
        "segments_to_merge": len(to_merge(base)),
        "removed_rows": rows - len(base),
        "bytes_per_entity": {name: size / max(1, rows) for name, size in _sizes(base).items()},
        "bytes": sum(_sizes(base).values()),
        "unreadable_pictures": _unreadable(base),
    }


def _sizes(base: KnowledgeBase) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for part in base.parts:
        for name, file in part.segment.description.files.items():
            kind = name.partition(".")[0]
            sizes[kind] = sizes.get(kind, 0) + file.size
    return sizes


def _unreadable(base: KnowledgeBase) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for part in base.parts:
        reasons |= part.segment.description.unreadable
    return reasons
