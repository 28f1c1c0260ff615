"""What every index of vectors does."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from melder.search.filters import Types

__all__ = ["FiltersTypes", "Index", "Nearest", "SupportsScoring"]


class Nearest(NamedTuple):
    """columns [n] int64, best first; products [n] float32: their inner products with the query, as `SupportsScoring`
    tells them, None where an index does not"""

    columns: np.ndarray
    products: np.ndarray | None


@runtime_checkable
class Index(Protocol):
    """Vectors of entities [n, d], of any lengths; an entity is its column, 0 to n - 1, in the order of adding."""

    @classmethod
    def build(cls, vectors: Tensor) -> Index: ...

    @classmethod
    def open(cls, path: Path) -> Index:
        """An index that was saved, memory-mapped. Raises MelderError when it is none."""
        ...

    def save(self, path: Path) -> None:
        """Write a directory, which is there as a whole or not at all; it must not be there yet."""
        ...

    def add(self, vectors: Tensor) -> None:
        """More vectors, as the next columns."""
        ...

    def remove(self, columns: np.ndarray) -> None:
        """These are not found any more; the numbers of the others stay."""
        ...

    def search(self, query: Tensor, k: int) -> Nearest:
        """The columns with the largest inner products with a query [d]: k, or as many as are found; of equal products
        the lower column first."""
        ...


@runtime_checkable
class SupportsScoring(Protocol):
    """An index that can tell the inner product of a query and any of its vectors."""

    def products(self, query: Tensor, columns: np.ndarray) -> np.ndarray:
        """[columns] float32, of a query [d] and vectors that were not removed, to the rounding of what is stored."""
        ...


@runtime_checkable
class FiltersTypes(Protocol):
    """An index that itself can search among entities of some types."""

    def only(self, types: Types) -> Index: ...
