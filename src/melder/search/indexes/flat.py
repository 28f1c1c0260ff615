r"""The flat index: the inner product with every vector, exact but for the rounding of what is stored.

Vectors are divided by the length M of the longest, so that float16 neither overflows nor loses the short ones; half
the bytes are half the time, since reading memory is all that takes any. How far an inner product can be from the real
one is known (`melder.ops.bounds.rounding`): `upper_bounds` adds it, for a search that must not miss anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from melder.io.scratch import ScratchRows
from melder.ops.bounds import rounding
from melder.ops.largest import largest, largest_of_array
from melder.protocols import Counting, Nearest
from melder.search.indexes.files import new_directory, no_options, open_arrays, save_arrays

__all__ = ["FlatIndex"]

SPARE = 32  # vectors beyond those wanted that are looked at again, for their products were rounded to float16
QUERIES, VECTORS = 256, 1 << 14  # that are multiplied together: 16 MB of products
ARRAYS = ("vectors", "lengths", "scale", "alive")


class FlatIndex:
    """All inner products; fulfils `melder.protocols.Index`.

    Opened from files it is memory-mapped, and nothing is read before the first search.

    Args:
        vectors: [n, d] in float16 or float32, over the scale M.
        lengths: [n] of the real ones.
        scale: M.
        alive: [n], False = removed.
    """

    keeps_vectors, filters_types, tells_products, searches_many = True, False, True, True

    def __init__(self, vectors: Tensor, lengths: Tensor, scale: Tensor, alive: Tensor) -> None:
        self.vectors = vectors
        self.lengths = lengths
        self.scale = scale
        self.alive = alive

    @classmethod
    def build(
        cls,
        vectors: Tensor,
        options: str = "",
        types: Sequence[tuple[str, ...]] | None = None,
        counting: Counting | None = None,
        *,
        kind: torch.dtype = torch.float16,
    ) -> FlatIndex:
        no_options("flat", options)
        blocks, rows = torch.split(vectors, VECTORS), ScratchRows()
        lengths = torch.cat([torch.linalg.vector_norm(block.float(), dim=1).cpu() for block in blocks])
        scale = lengths.max().clamp(min=1e-30) if len(lengths) else torch.tensor(1.0)
        alive = torch.ones(len(lengths), dtype=torch.bool)
        for block in blocks:
            rows.append((block.cpu().float() / scale).to(kind).numpy())
        return cls(torch.from_numpy(rows.array()), lengths, scale, alive)

    @classmethod
    def open(cls, path: Path) -> FlatIndex:
        return cls(*(torch.from_numpy(array) for array in open_arrays(path, ARRAYS).values()))

    def save(self, path: Path) -> None:
        with new_directory(path) as partial:
            save_arrays(partial, {name: getattr(self, name).numpy() for name in ARRAYS})

    def __len__(self) -> int:
        """The number of rows, removed ones too."""
        return len(self.vectors)

    def add(self, vectors: Tensor) -> None:
        more = FlatIndex.build(vectors)
        self.vectors = torch.cat([self.vectors, (vectors.cpu().float() / self.scale).to(self.vectors.dtype)])
        self.lengths, self.alive = torch.cat([self.lengths, more.lengths]), torch.cat([self.alive, more.alive])

    def remove(self, rows: np.ndarray) -> None:
        self.alive[torch.as_tensor(rows)] = False

    def search(self, query: Tensor, k: int) -> Nearest:
        rough, _ = self._products(query)
        values, places = largest(rough, k + SPARE)
        rows = places[values > float("-inf")].sort().values.numpy()
        products = self.products(query, rows)
        best = largest_of_array(products, k)
        return Nearest(rows[best], products[best])

    def search_many(self, queries: Tensor, k: int) -> list[Nearest]:
        queries = queries.detach().cpu().float()
        starts = range(0, len(queries), QUERIES)
        return [hits for start in starts for hits in self._search_some(queries[start : start + QUERIES], k)]

    def _search_some(self, queries: Tensor, k: int) -> list[Nearest]:
        values, places = queries.new_empty(len(queries), 0), torch.empty(len(queries), 0, dtype=torch.long)
        for start in range(0, len(self), VECTORS):
            block = slice(start, start + VECTORS)
            products = (queries @ self.vectors[block].float().t()).mul_(self.scale)
            best, best_places = largest(products.masked_fill_(~self.alive[block], float("-inf")), k)
            values, order = largest(torch.cat([values, best], dim=1), k)  # of equal ones the earlier block's first
            places = torch.cat([places, start + best_places], dim=1).gather(1, order)
        found = values > float("-inf")
        return [
            Nearest(rows[there].numpy(), products[there].numpy())
            for rows, products, there in zip(places, values, found, strict=True)
        ]

    def products(self, query: Tensor, rows: np.ndarray) -> np.ndarray:
        vectors = self.vectors[torch.from_numpy(rows)].float()
        return (vectors @ query.detach().cpu().float()).mul_(self.scale).numpy()

    def upper_bounds(self, query: Tensor) -> Tensor:
        """[n] float32: the inner products of a query [d], none of them below the real one; -inf where removed."""
        products, length = self._products(query)
        error = rounding(self.lengths, self.scale, self.vectors.shape[1], self.vectors.dtype)
        return torch.add(error, products, alpha=float(self.scale)).mul_(length)

    def _products(self, query: Tensor) -> tuple[Tensor, float]:
        """[n] of the stored vectors and the query over its length, and that length."""
        query = query.detach().cpu().float()
        length = max(float(torch.linalg.vector_norm(query)), 1e-30)
        products = (self.vectors @ (query / length).to(self.vectors.dtype)).float()
        return products.masked_fill_(~self.alive, float("-inf")), length
