"""Backends that find the vectors with the largest inner products, behind one protocol, by name."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from melder.linking.indexes.faiss import FaissIndex
from melder.linking.indexes.flat import FlatIndex
from melder.linking.indexes.hnsw import HNSWIndex
from melder.linking.indexes.index import Index
from melder.records import MelderError

__all__ = ["BACKENDS", "FaissIndex", "FlatIndex", "HNSWIndex", "Index", "build_index", "open_index"]

BACKENDS: dict[str, type[Index]] = {"flat": FlatIndex, "hnsw": HNSWIndex, "faiss": FaissIndex}


def build_index(name: str, vectors: Tensor) -> Index:
    """An index of vectors [n, d]. `name` is flat, hnsw, faiss, or faiss: and one of its factory strings.

    Raises MelderError for an unknown name, or when the package that it needs is not there.
    """
    backend, _, factory = name.partition(":")
    return FaissIndex.build(vectors, factory) if factory and backend == "faiss" else _backend(name).build(vectors)


def open_index(name: str, path: Path) -> Index:
    """An index that was saved; the part of the name behind a colon does not matter."""
    return _backend(name.partition(":")[0]).open(path)


def _backend(name: str) -> type[Index]:
    if name not in BACKENDS:
        raise MelderError(f"{name!r}: is no index; there are {', '.join(BACKENDS)} and faiss:FACTORY")
    return BACKENDS[name]
