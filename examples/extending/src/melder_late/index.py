"""An index that is one array: every inner product, in float32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from melder.protocols import Counting, Nearest
from melder.search.indexes.files import new_directory, no_options, open_arrays, save_arrays


class PlainIndex:
    """Every vector as it is."""

    keeps_vectors, filters_types, tells_products = True, False, True

    def __init__(self, vectors: np.ndarray, alive: np.ndarray) -> None:
        self.vectors, self.alive = vectors, alive

    @classmethod
    def build(
        cls,
        vectors: Tensor,
        options: str = "",
        types: Sequence[tuple[str, ...]] | None = None,
        counting: Counting | None = None,
    ) -> PlainIndex:
        no_options("plain", options)
        return cls(vectors.detach().cpu().float().numpy(), np.ones(len(vectors), bool))

    @classmethod
    def open(cls, path: Path) -> PlainIndex:
        return cls(**open_arrays(path, ("vectors", "alive")))

    def save(self, path: Path) -> None:
        with new_directory(path) as part:
            save_arrays(part, {"vectors": self.vectors, "alive": self.alive})

    def add(self, vectors: Tensor) -> None:
        self.vectors = np.concatenate([self.vectors, vectors.detach().cpu().float().numpy()])
        self.alive = np.concatenate([self.alive, np.ones(len(vectors), bool)])

    def remove(self, rows: np.ndarray) -> None:
        self.alive[rows] = False

    def search(self, query: Tensor, k: int) -> Nearest:
        places = np.flatnonzero(self.alive)
        products = self.products(query, places)
        first = np.lexsort((places, -products))[:k]
        return Nearest(places[first], products[first])

    def products(self, query: Tensor, rows: np.ndarray) -> np.ndarray:
        return torch.mv(torch.from_numpy(self.vectors[rows]), query.detach().cpu().float()).numpy()
