"""What a knowledge base holds and takes, and whether all of it is as it was written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from melder.kb.compaction import to_merge
from melder.kb.exemplars import exemplar_bytes, exemplar_faults
from melder.kb.indexes import StoredIndex, index_faults
from melder.kb.knowledge_base import KnowledgeBase
from melder.kb.manifest import MODEL, SEGMENTS, SHARDS, Generation, open_current
from melder.kb.segment import segment_faults
from melder.kb.shard_list import shard_paths
from melder.kb.type_counts import TypeCounts
from melder.protocols import Counting, Progress
from melder.records import MelderError

__all__ = ["information", "verify"]


def verify(directory: Path, counting: Counting) -> tuple[int, list[str]]:
    """Read a knowledge base through, or every shard of a set: how many entities there are, and one line for each fault
    of any of the files.

    It need not open.

    Args:
        directory: Of a knowledge base, or of a set of shards.
        counting: Starts a progress bar with a title and a total.

    Returns:
        Both.

    Raises:
        MelderError: What says which files it has cannot be read.
    """
    if (directory / SHARDS).is_file():
        results = [verify(shard, counting) for shard in shard_paths(directory)]
        return sum(entities for entities, _ in results), [fault for _, faults in results for fault in faults]
    generation, descriptor = open_current(directory)  # which no writer removes as long as this is open
    try:
        return generation.entities, _faults(
            directory, generation, counting("reading segments", len(generation.segments))
        )
    finally:
        os.close(descriptor)


def _faults(directory: Path, generation: Generation, progress: Progress) -> list[str]:
    faults = []
    for listed in generation.segments:
        faults += segment_faults(directory / SEGMENTS / listed.name, listed.digest)
        progress(1)
    for index in generation.indexes:
        faults += index_faults(directory, index)
    for exemplars in generation.exemplars:
        faults += exemplar_faults(directory, exemplars)
    files = {directory / MODEL / name: file for name, file in generation.settings.identity.files.items()}
    if (codebook := generation.settings.codebook_file(directory)) is not None:
        files[codebook.path] = codebook.expected
    for path, file in files.items():
        try:
            file.check(path)
        except MelderError as error:
            faults.append(str(error))
    return faults


def information(base: KnowledgeBase) -> dict[str, Any]:
    """Counts, and bytes: of each kind of file an entity, where removed rows count until they are compacted away; of
    the model; of what is stored for searches, and how many of the entities that knows; and of all together.

    Args:
        base: Opened.

    Returns:
        What `melder kb info --json` prints.
    """
    generation, sizes = base.generation, _sizes(base)
    rows = sum(listed.rows for listed in generation.segments)
    model = sum(file.size for file in generation.settings.identity.files.values())
    indexes = {search: base.indexes(search) for search in base.searches}
    learned, exemplars = base.exemplars, _exemplar_bytes(base)
    return {
        "directory": str(base.directory),
        "entities": len(base),
        "types": dict(TypeCounts().counts(base).most_common()),
        "generation": generation.number,
        "melder": generation.melder,
        "method": generation.settings.identity.method,
        "encoder": generation.settings.identity.encoder,
        "sides": generation.settings.kind,
        "tokens": generation.settings.tokens,
        "pictures": generation.settings.pictures,
        "pictures_stored": sum(reader.segment.description.pictures for reader in base.parts),
        "exemplars": len(learned),
        "entities_with_exemplars": len({record.entity for record in learned.records}),
        **({"shards": len(base.shards)} if base.shards else {}),
        "segments": len(base.parts),
        "segments_to_merge": sum(len(to_merge(shard)) for shard in base.shards or (base,)),
        "removed_rows": rows - len(base),
        "bytes_per_entity": {name: size / max(1, rows) for name, size in sizes.items()},
        "bytes_model": model,
        "indexes": {search: _known(base, stored) for search, stored in indexes.items()},
        "bytes_exemplars": exemplars,
        "bytes": sum(sizes.values()) + model + exemplars + _index_bytes(indexes),
        "unreadable_pictures": _unreadable(base),
    }


def _index_bytes(indexes: Mapping[str, Sequence[StoredIndex]]) -> int:
    return sum(index.bytes for stored in indexes.values() for index in stored)


def _exemplar_bytes(base: KnowledgeBase) -> int:
    return sum(exemplar_bytes(shard.directory, shard.generation.exemplars) for shard in base.shards or (base,))


def _known(base: KnowledgeBase, indexes: Sequence[StoredIndex]) -> dict[str, int]:
    """Of what is stored for a search: one index, or one of each shard."""
    entities = sum(int((index.rows(base.parts) >= 0).sum()) for index in indexes)
    return {"entities": entities, "bytes": sum(index.bytes for index in indexes)}


def _sizes(base: KnowledgeBase) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for reader in base.parts:
        for name, file in reader.segment.description.files.items():
            kind = name.partition(".")[0]
            sizes[kind] = sizes.get(kind, 0) + file.size
        if (hashes := reader.segment.description.identities) is not None:
            sizes["ids"] = sizes.get("ids", 0) + hashes.size
    return sizes


def _unreadable(base: KnowledgeBase) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for reader in base.parts:
        reasons |= base.unreadable(reader)
    return reasons
