"""Searches that a knowledge base keeps prepared: made once by `melder kb index`, memory-mapped when they are opened.

What was added to the knowledge base since is searched beside them, flat; what was removed is not found.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from melder.io.addresses import without_password
from melder.io.tensors import write_array
from melder.kb import Writer, open_knowledge_base
from melder.protocols import Counting, Matcher
from melder.records import MelderError
from melder.runs.directory import open_model
from melder.search.entity_store import EntityStore, SideStore, SubsetSides
from melder.search.hybrid import HybridIndex
from melder.search.indexes import INDEXES
from melder.search.indexes.names import NameIndex
from melder.search.indexes.trial import try_in_child
from melder.search.resolver import FLAT, NamedSearch, Search, build_search, find_kind

__all__ = ["find_search", "store_search"]

VECTORS, NAMES, PROBE = "vectors", "names", "probe.npy"
PROBED = 16  # entities whose vectors say whether an index is of a matcher with these settings


def store_search(directory: Path, name: str, counting: Counting) -> int:
    """Prepare the search of this name for a knowledge base and keep it there; the number of entities.

    The knowledge base may be changed meanwhile.

    Args:
        directory: Of the knowledge base or set of shards.
        name: Of a search, or of an index for a search in two stages.
        counting: Starts a progress bar with a title and a total.

    Returns:
        How many entities it finds.

    Raises:
        MelderError: Searches that cannot be kept.
    """
    named = find_kind(name)
    if not INDEXES.resolve(named.index)[0].keeps_vectors:
        shown = without_password(name)
        raise MelderError(f"{shown}: the database keeps the vectors itself; just link with --candidates {shown}")
    with open_knowledge_base(directory) as base:
        if not len(base):
            raise MelderError(f"{directory}: is empty; add entities first, with `melder kb add`")
        matcher = open_model(base.model)[0].matcher.eval()
        prepared = named.kind.indexed(matcher, base, named.index, counting)
        probe = _probe(named, matcher, base, torch.arange(min(PROBED, len(base))))

        def fill(path: Path) -> None:
            write_array(path / PROBE, probe.numpy())
            if prepared.index is not None:
                prepared.index.save(path / VECTORS)
            if prepared.names is not None:
                prepared.names.save(path / NAMES)

        with Writer.open(directory) as writer:
            writer.write_index(name, base.generation.segments, fill)
        return len(base)


def find_search(name: str, matcher: Matcher, source: EntityStore, counting: Counting | None = None) -> Search:
    """The search of this name that the knowledge base `source` keeps; else, and of other sources, one that is made now.

    Args:
        name: Of a search, or of an index for a search in two stages.
        matcher: Scores mentions and entities.
        source: The entities.
        counting: Starts a progress bar with a title and a total.

    Returns:
        The search.

    Raises:
        MelderError: An unknown name, and when what is kept is damaged.
    """
    stored = _open_search(name, matcher, source)
    return build_search(name, matcher, source, counting) if stored is None else stored


def _open_search(name: str, matcher: Matcher, base: EntityStore) -> Search | None:
    """None when none is kept, or only of a matcher with other settings. Each shard of a set keeps its own."""
    named = find_kind(name)
    parts, covered = list[HybridIndex[Any]](), np.zeros(0, np.int64)
    for stored, rows in base.stored_searches(name):
        if _fits(stored.path / PROBE, named, matcher, base, rows):
            stored.check()
            parts.append(_opened(named, stored.path, rows, trusted=stored.trusted))
            covered = np.concatenate([covered, rows])
    if not parts:
        return None
    rest = np.setdiff1d(np.arange(len(base)), covered)
    if len(rest):
        parts.append(_at(rest, named.kind.indexed(matcher, SubsetSides(base, torch.from_numpy(rest)), FLAT)))
    return named.kind(matcher, base, parts)


def _opened(named: NamedSearch, path: Path, rows: np.ndarray, *, trusted: bool) -> HybridIndex[Any]:
    opener, _ = INDEXES.resolve(named.index)
    if not trusted and not opener.keeps_vectors:  # its file would say where this machine connects to
        raise MelderError(f"{path}: sends to a database that a stranger chose; do not use this knowledge base")
    if not trusted and (path / VECTORS).is_dir():
        try_in_child(getattr(opener, "trial", ""), path / VECTORS)
    index = opener.open(path / VECTORS) if (path / VECTORS).is_dir() else None
    names = NameIndex.open(path / NAMES) if (path / NAMES).is_dir() else None
    return _at(rows, HybridIndex(index, names))


def _at(rows: np.ndarray, part: HybridIndex[Any]) -> HybridIndex[Any]:
    """The part with its rows, unless every place is its row."""
    same = np.array_equal(rows, np.arange(len(rows)))
    return HybridIndex(part.index, part.names, None if same else rows)


def _probe(named: NamedSearch, matcher: Matcher, base: SideStore, rows: Tensor) -> Tensor:
    return named.kind.entity_vectors(matcher, base.side(rows)).cpu()


def _fits(path: Path, named: NamedSearch, matcher: Matcher, base: SideStore, rows: np.ndarray) -> bool:
    """Whether the first entities that the index knows have the vectors they had, as far as they are still there."""
    try:
        before = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise MelderError(f"{path}: is damaged ({error}); make the index again with `melder kb index`") from None
    places = np.flatnonzero(rows[: len(before)] >= 0)
    if not len(places):
        return False
    now = _probe(named, matcher, base, torch.from_numpy(rows[places])).numpy()
    return now.shape[1] == before.shape[1] and np.allclose(now, before[places], rtol=1e-3, atol=1e-3)
