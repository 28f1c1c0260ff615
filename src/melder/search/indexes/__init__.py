"""Indexes that find the vectors with the largest inner products, one a file, by name."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from melder.protocols import Counting, Index, IndexClass
from melder.registry import Entry, Registry

__all__ = ["INDEXES", "build_index"]

INDEXES = Registry[IndexClass](
    "index",
    "melder.indexes",
    (
        Entry("flat", "melder.search.indexes.flat:FlatIndex", "every vector, in float16"),
        Entry("hnsw", "melder.search.indexes.hnsw:HNSWIndex", "a navigable graph, by usearch", "index"),
        Entry("faiss", "melder.search.indexes.faiss:FaissIndex", "any index that FAISS can build", "faiss"),
        Entry("milvus", "melder.search.indexes.milvus:MilvusIndex", "a vector database", "milvus"),
    ),
    "faiss:FACTORY, milvus:URI",
)


def build_index(
    name: str, vectors: Tensor, counting: Counting | None = None, types: Sequence[tuple[str, ...]] | None = None
) -> Index:
    """An index of vectors.

    Args:
        name: flat, hnsw, faiss, faiss: and one of its factory strings, milvus: and the URI of a database, or that of
            another package's.
        vectors: [n, d].
        counting: Starts a progress bar where building takes long.
        types: Those of each entity, for indexes that filter by them.

    Returns:
        The index, in which an entity is its row.

    Raises:
        MelderError: An unknown name, or when the package that it needs is not there.
    """
    index, options = INDEXES.resolve(name)
    return index.build(vectors, options, types, counting)
