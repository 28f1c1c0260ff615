"""Backends that find the vectors with the largest inner products, behind one protocol, by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from melder.protocols import Counting
from melder.records import MelderError
from melder.search.indexes.faiss import FaissIndex
from melder.search.indexes.flat import FlatIndex
from melder.search.indexes.hnsw import HNSWIndex
from melder.search.indexes.index import FiltersTypes, Index, Nearest, SupportsScoring
from melder.search.indexes.milvus import MilvusIndex

__all__ = [
    "BACKENDS",
    "FaissIndex",
    "FiltersTypes",
    "FlatIndex",
    "HNSWIndex",
    "Index",
    "MilvusIndex",
    "Nearest",
    "SupportsScoring",
    "build_index",
    "open_index",
]

BACKENDS: dict[str, type[Index]] = {"flat": FlatIndex, "hnsw": HNSWIndex, "faiss": FaissIndex, "milvus": MilvusIndex}


def build_index(
    name: str, vectors: Tensor, counting: Counting | None = None, types: Sequence[tuple[str, ...]] | None = None
) -> Index:
    """An index of vectors [n, d]. `name` is flat, hnsw, faiss, faiss: and one of its factory strings, or milvus: and
    the URI of a database, which is told the types of each entity. `counting` starts a progress bar where building
    takes long.

    Raises MelderError for an unknown name, or when the package that it needs is not there.
    """
    backend, _, rest = name.partition(":")
    if rest and backend == "faiss":
        return FaissIndex.build(vectors, rest)
    if backend == "hnsw" and counting is not None:
        return HNSWIndex.build(vectors, counting("building the graph", len(vectors)))
    return MilvusIndex.build(vectors, rest, types) if backend == "milvus" else _backend(name).build(vectors)


def open_index(name: str, path: Path) -> Index:
    """An index that was saved; the part of the name behind a colon does not matter."""
    return _backend(name.partition(":")[0]).open(path)


def _backend(name: str) -> type[Index]:
    if name not in BACKENDS:
        raise MelderError(f"{name!r}: is no index; there are {', '.join(BACKENDS)}, faiss:FACTORY and milvus:URI")
    return BACKENDS[name]
