r"""Inner products as cosines, for indexes that only know vectors of length one.

A coordinate `√(M² − |x|²)` gives every vector x the length M; a query has 0 there. Inner products stay what they are,
and the order of cosines is theirs (Bachrach and others, 2014, "Speeding up the Xbox recommender system").
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from melder.records import MelderError

__all__ = ["MipsToCosine"]

AT_ONCE = 1 << 14  # vectors that are looked at together
ROOM = 1.05  # M over the longest vector at first: a few that come later may be a little longer


@dataclass(frozen=True)
class MipsToCosine:
    """Vectors of any lengths as ones of one length, so that the nearest by cosine have the largest inner products.

    Args:
        radius: M, the length of the longest.
        width: Of the vectors before they are lifted.
    """

    radius: float
    width: int

    @classmethod
    def of(cls, vectors: Tensor) -> MipsToCosine:
        lengths = (torch.linalg.vector_norm(block.float(), dim=1) for block in torch.split(vectors, AT_ONCE))
        longest = max(float(length.max()) for length in lengths) if len(vectors) else 1.0
        return cls(max(ROOM * longest, 1e-30), vectors.shape[1])

    def vectors(self, vectors: Tensor) -> np.ndarray:
        """[n, d + 1] float32 of length one.

        Raises:
            MelderError: A vector is longer than M.
        """
        scaled = vectors.detach().cpu().float() / self.radius
        rest = 1 - scaled.square().sum(dim=1, keepdim=True)
        if (rest < 0).any():
            raise MelderError("a vector is longer than those that the index was built for; build the index again")
        return torch.cat([scaled, rest.sqrt()], dim=1).numpy()

    def query(self, query: Tensor) -> np.ndarray:
        """[d + 1] float32 of length one (zeros stay zeros), of a query [d]."""
        lifted = np.zeros(self.width + 1, np.float32)
        lifted[:-1] = _array(query)
        return lifted / max(_length(lifted), 1e-12)

    def products(self, cosines: np.ndarray, query: Tensor) -> np.ndarray:
        """Inner products of a query [d] and vectors as they were before they were lifted, from the cosines of what they
        are now."""
        products: np.ndarray = cosines * np.float32(self.radius * _length(_array(query)))
        return products


def _array(query: Tensor) -> np.ndarray:
    return query.detach().cpu().float().numpy()


def _length(vector: np.ndarray) -> float:
    return math.sqrt(float(vector @ vector))
