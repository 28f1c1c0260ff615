"""What finds the vectors with the largest inner products."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor

from melder.protocols.progress import Counting

__all__ = ["BatchIndex", "FilteringIndex", "Index", "IndexClass", "Nearest", "ScoringIndex", "TypeNames"]


class TypeNames(Protocol):
    """Entities that have any of the types `names` or, with `every`, all of them."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def every(self) -> bool: ...


class Nearest(NamedTuple):
    """rows [n] int64, best first; products [n] float32: their inner products with the query, None where an index
    does not tell them"""

    rows: np.ndarray
    products: np.ndarray | None


class IndexClass(Protocol):
    """What is registered as an index: the class, which builds and opens indexes.

    Attributes:
        keeps_vectors: `save` writes all that it needs; False: a database has the vectors.
        filters_types: It is a `FilteringIndex`, and wants the types of the entities when it is built.
        tells_products: It is a `ScoringIndex`.
        trial: May be left out where files are plain arrays. Python that opens a stored index in `sys.argv[1]` and
            searches it, which is run in a process of its own before a stranger's files are opened in this one.
        searches_many: May be left out where it is False: it is a `BatchIndex`.
    """

    @property
    def keeps_vectors(self) -> bool: ...

    @property
    def filters_types(self) -> bool: ...

    @property
    def tells_products(self) -> bool: ...

    def build(
        self,
        vectors: Tensor,
        options: str = "",
        types: Sequence[tuple[str, ...]] | None = None,
        counting: Counting | None = None,
    ) -> Index:
        """An index of vectors [n, d]; `options` is what follows the name and a colon.

        Raises:
            MelderError: What it needs is not installed, or the options are wrong.
        """
        ...

    def open(self, path: Path) -> Index:
        """An index that was saved, memory-mapped.

        Raises:
            MelderError: It is none.
        """
        ...


class Index(Protocol):
    """Vectors of entities [n, d], of any lengths; an entity is its row, 0 to n - 1, in the order of adding."""

    @property
    def filters_types(self) -> bool: ...

    @property
    def tells_products(self) -> bool: ...

    def save(self, path: Path) -> None:
        """Write a directory, which is there as a whole or not at all; it must not be there yet."""
        ...

    def add(self, vectors: Tensor) -> None:
        """More vectors, as the next rows."""
        ...

    def remove(self, rows: np.ndarray) -> None:
        """These are not found any more; the numbers of the others stay."""
        ...

    def search(self, query: Tensor, k: int) -> Nearest:
        """The rows with the largest inner products with a query [d]: k, or as many as are found; of equal products
        the lower row first."""
        ...


class ScoringIndex(Index, Protocol):
    """An index that can tell the inner product of a query and any of its vectors."""

    def products(self, query: Tensor, rows: np.ndarray) -> np.ndarray:
        """[rows] float32, of a query [d] and vectors that were not removed, to the rounding of what is stored."""
        ...


class BatchIndex(Index, Protocol):
    """An index that searches for many queries in less time than for one after the other."""

    def search_many(self, queries: Tensor, k: int) -> list[Nearest]:
        """What `search` gives for each of queries [m, d], to rounding."""
        ...


class FilteringIndex(Index, Protocol):
    """An index that itself can search among entities of some types."""

    def only(self, types: TypeNames) -> Index: ...
