r"""How alike two mentions are in one modality, in standard deviations of what mentions of different entities get.

Vectors x of exemplars are centred and whitened by what tells one photograph of an entity from another one of it:

    s(x, y) = cos(Σ^-½ (x - μ), Σ^-½ (y - μ)),    Σ = S_w n_w / (n_w + ν) + a S_t n / (n + ν) + (ε + a ν / (n + ν)) t I

S_w is the covariance around the mean of each entity (as in linear discriminant analysis), S_t that of all, t the mean
variance of a coordinate. With few exemplars Σ is near a multiple of I, and s near the plain cosine. Both covariances
are of `SAMPLE` exemplars at most, so that Σ^-½ is I and a few hundred directions: quick for long vectors.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

__all__ = ["Similarity"]

SAMPLE = 512  # exemplars that a covariance is of, at most
TOTAL, RIDGE = 0.1, 0.1  # a and ε
COUNT = 100  # ν: so many exemplars say as much of a covariance as is presumed
CENTRE = 16  # the mean counts as if so many vectors of zeros were there too
PAIRS, COSINE, DEVIATION = 20, 0.4, 0.2  # pairs of different entities that are presumed, their cosines and deviation


class Similarity:
    """How much more alike an exemplar and a mention are than unrelated ones.

    Args:
        vectors: [n, d] of exemplars.
        present: [n], False = nothing there.
        owner: [n], which entity each means.
    """

    def __init__(self, vectors: Tensor, present: Tensor, owner: Tensor) -> None:
        known, owner = vectors[present].float(), owner[present]
        self._mean = known.sum(dim=0) / (len(known) + CENTRE)
        self._directions, self._gains = _whitening(known - self._mean, owner)
        self.present = present
        self.vectors = self._whitened(vectors.float()) * present[:, None]
        self._cosine, self._deviation = self._unrelated(self.vectors[present][:SAMPLE], owner[:SAMPLE])

    def of(self, vectors: Tensor, present: Tensor) -> Tensor:
        """[m, n] for vectors [m, d]; 0, as unrelated ones have, where either has none."""
        return self._standardised(self._whitened(vectors.float()), present)

    def among(self, rows: Tensor) -> Tensor:
        """The same [rows, n] for some of the exemplars themselves."""
        return self._standardised(self.vectors[rows], self.present[rows])

    def _standardised(self, whitened: Tensor, present: Tensor) -> Tensor:
        scores = (whitened @ self.vectors.t() - self._cosine) / self._deviation
        return scores * (present[:, None] & self.present[None])

    def _whitened(self, vectors: Tensor) -> Tensor:
        centred = vectors - self._mean
        return normalize(centred + (centred @ self._directions * self._gains) @ self._directions.t(), dim=1)

    @staticmethod
    def _unrelated(whitened: Tensor, owner: Tensor) -> tuple[float, float]:
        """Mean and standard deviation of the cosines of different entities, shrunk to what is presumed."""
        cosines = (whitened @ whitened.t())[owner[:, None] != owner[None]].double()
        count = len(cosines) / 2
        mean = (cosines.sum() / 2 + PAIRS * COSINE) / (count + PAIRS)
        square = ((cosines - mean).square().sum() / 2 + PAIRS * DEVIATION**2) / (count + PAIRS)
        return float(mean), float(square.sqrt())


def _whitening(centred: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
    """Directions [d, r] and gains [r]: √t Σ^-½, up to a factor, is I + directions diag(gains) directionsᵀ."""
    count, width = centred.shape
    if not count or not width:
        return centred.new_zeros(width, 0), centred.new_zeros(0)
    within = _within(centred, owner)
    share, of_within = count / (count + COUNT), len(within) / (len(within) + COUNT)
    within, some = within[:SAMPLE], centred[:SAMPLE]
    ridge = (RIDGE + (1 - share) * TOTAL) * float(some.square().sum(dim=1).mean()) / width
    rows = torch.cat(
        [
            within * (of_within / max(1, len(within))) ** 0.5,
            some * (TOTAL * share / len(some)) ** 0.5,
        ]
    ).double()
    variance, left = torch.linalg.eigh(rows @ rows.t())
    strong = variance > 1e-6 * variance[-1]
    variance, left = variance[strong], left[:, strong]
    directions = rows.t() @ left / variance.sqrt()
    gains = (ridge / (variance + ridge)).sqrt() - 1
    return directions.float(), gains.float()


def _within(centred: Tensor, owner: Tensor) -> Tensor:
    """How far exemplars are from the mean of their entity, of entities with at least two; unbiased."""
    _, place, counts = torch.unique(owner, return_inverse=True, return_counts=True)
    means = centred.new_zeros(len(counts), centred.shape[1]).index_add_(0, place, centred) / counts[:, None]
    several, size = counts[place] > 1, counts[place][:, None].float()
    unbiased: Tensor = ((centred - means[place]) * (size / (size - 1).clamp(min=1)).sqrt())[several]
    return unbiased
