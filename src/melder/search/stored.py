"""Searches that a knowledge base keeps prepared: made once by `melder kb index`, memory-mapped when they are opened.

What was added to the knowledge base since is searched beside them, flat; what was removed is not found.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from melder.kb import KnowledgeBase, Writer, open_knowledge_base
from melder.kb.indexes import StoredIndex
from melder.methods.matcher import UnitMatcher
from melder.protocols import Counting
from melder.records import MelderError
from melder.runs.directory import open_model
from melder.search.bounded import BoundedSearch, bound_vectors
from melder.search.candidates import dense_vectors
from melder.search.entity_store import SideStore, SubsetSides
from melder.search.hybrid import HybridIndex
from melder.search.indexes import BACKENDS, FlatIndex
from melder.search.indexes.names import NameIndex
from melder.search.resolver import CERTIFIED, Search, build_search, check_name
from melder.search.two_stage import TwoStage

__all__ = ["find_search", "store_search"]

VECTORS, NAMES, PROBE = "vectors", "names", "probe.npy"
PROBED = 16  # entities whose vectors say whether an index is of a matcher with these settings


def store_search(directory: Path, name: str, counting: Counting) -> int:
    """Prepare the search of this name for a knowledge base and keep it there; the number of entities.

    The knowledge base may be changed meanwhile. Raises MelderError for searches that cannot be kept.
    """
    check_name(name)
    if name.partition(":")[0] == "milvus":
        raise MelderError(f"{name}: the database keeps the vectors itself; just link with --candidates {name}")
    with open_knowledge_base(directory) as base:
        if not len(base):
            raise MelderError(f"{directory}: is empty; add entities first, with `melder kb add`")
        matcher = open_model(base.model)[0].matcher.eval()
        search = build_search(name, matcher, base, counting)
        assert isinstance(search, BoundedSearch | TwoStage)
        part, probe = search.parts[0], _probe(name, matcher, base, torch.arange(min(PROBED, len(base))))

        def fill(path: Path) -> None:
            np.save(path / PROBE, probe.numpy(), allow_pickle=False)
            if part.index is not None:
                part.index.save(path / VECTORS)
            if part.names is not None:
                part.names.save(path / NAMES)

        with Writer.open(directory) as writer:
            writer.write_index(name, base.generation.segments, fill)
        return len(base)


def find_search(name: str, matcher: UnitMatcher, source: SideStore, counting: Counting | None = None) -> Search:
    """The search of this name that the knowledge base `source` keeps; else, and of other sources, one that is made now.

    Raises MelderError for an unknown name, and when what is kept is damaged.
    """
    kept = _open_search(name, matcher, source) if isinstance(source, KnowledgeBase) else None
    return build_search(name, matcher, source, counting) if kept is None else kept


def _open_search(name: str, matcher: UnitMatcher, base: KnowledgeBase) -> Search | None:
    """None when none is kept, or only of a matcher with other settings. Each shard of a set keeps its own."""
    parts, known = list[HybridIndex[Any]](), np.zeros(0, np.int64)
    for stored in base.indexes(name):
        columns = stored.columns(base.parts)
        if _fits(stored.path / PROBE, name, matcher, base, columns):
            stored.check()
            parts.append(_opened(name, stored, columns))
            known = np.concatenate([known, columns])
    if not parts:
        return None
    rest = np.setdiff1d(np.arange(len(base)), known)
    made: Any = BoundedSearch.indexed if name == CERTIFIED else partial(TwoStage.indexed, backend="flat")
    if len(rest):
        parts.append(_at(rest, made(matcher, SubsetSides(base, torch.from_numpy(rest)))))
    return (BoundedSearch if name == CERTIFIED else TwoStage)(matcher, base, parts)


def _opened(name: str, stored: StoredIndex, columns: np.ndarray) -> HybridIndex[Any]:
    backend = FlatIndex if name == CERTIFIED else BACKENDS[name.partition(":")[0]]
    index = backend.open(stored.path / VECTORS) if (stored.path / VECTORS).is_dir() else None
    names = NameIndex.open(stored.path / NAMES) if (stored.path / NAMES).is_dir() else None
    return _at(columns, HybridIndex(index, names))


def _at(columns: np.ndarray, part: HybridIndex[Any]) -> HybridIndex[Any]:
    """The part with its columns, unless every place is its column."""
    same = np.array_equal(columns, np.arange(len(columns)))
    return HybridIndex(part.index, part.names, None if same else columns)


def _probe(name: str, matcher: UnitMatcher, base: SideStore, columns: Tensor) -> Tensor:
    vectors = bound_vectors if name == CERTIFIED else dense_vectors
    return vectors(matcher, base.side(columns), "entity").cpu()


def _fits(path: Path, name: str, matcher: UnitMatcher, base: SideStore, columns: np.ndarray) -> bool:
    """Whether the first entities that the index knows have the vectors they had, as far as they are still there."""
    try:
        before = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise MelderError(f"{path}: is damaged ({error}); make the index again with `melder kb index`") from None
    places = np.flatnonzero(columns[: len(before)] >= 0)
    if not len(places):
        return False
    now = _probe(name, matcher, base, torch.from_numpy(columns[places])).numpy()
    return now.shape[1] == before.shape[1] and np.allclose(now, before[places], rtol=1e-3, atol=1e-3)
