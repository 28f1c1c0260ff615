r"""Whitening: global vectors of a frozen encoder, spread evenly in all directions in which entities differ.

    w(x) = (Σ + r I)^(-1/2) (y - μ),    y = sign(x) √|x|, of length 1,    r = (1 + 3 d / n) tr Σ / d

with mean μ and covariance Σ of the y of n entities, of d numbers each. Networks that learned to classify pictures put
most of what they say into few directions ("it is round", "it is on white"), in which pictures of one thing may differ
and things agree (Su et al., 2021, for sentences; Jégou and Chum, 2012, for pictures). The root does the same for
single numbers: one that is very large no longer speaks for all. The ridge r leaves directions alone of which few
entities tell nothing. Directions in which no entity differs are left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

__all__ = ["FEWEST", "Whitening"]

FEWEST = 32  # vectors: the directions in which fewer differ are those of chance
RIDGE = 3.0  # times d / n; settled on train mentions of grocery (81 entities) and emoji (1,911)
NEGLIGIBLE = 1e-9  # of the largest variance: what float32 leaves of a direction that is not there


class Whitening(nn.Module):
    """Vectors to whitened ones of the same width, whose length says nothing; before `fit` they keep their direction."""

    mean: Tensor
    is_fitted: Tensor
    matrix: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("is_fitted", torch.tensor(False))
        self.register_buffer("matrix", torch.eye(width))

    def forward(self, vectors: Tensor) -> Tensor:
        """[n, d] of vectors [n, d] of any length."""
        rooted = torch.where(self.is_fitted, _rooted(vectors), vectors)
        out: Tensor = (rooted - self.mean) @ self.matrix
        return out

    def fit(self, vectors: Tensor) -> None:
        """Learn mean and matrix of vectors [n, d]; of fewer than `FEWEST` nothing."""
        count, width = vectors.shape
        if count < FEWEST:
            return
        rooted = _rooted(vectors.detach().double().cpu())
        mean = rooted.mean(dim=0)
        variances, directions = torch.linalg.eigh((rooted - mean).t() @ (rooted - mean) / count)
        there = variances > NEGLIGIBLE * variances.max()
        ridge = (1 + RIDGE * width / count) * variances.clamp(min=0).mean()
        shrunk = torch.where(there, (variances.clamp(min=0) + ridge).rsqrt(), 0.0)
        # The symmetric root, which does not depend on the signs and the order that eigenvectors come in.
        matrix = (directions * (shrunk / shrunk.max().clamp(min=1e-30))) @ directions.t()
        if bool(there.any()):
            self.is_fitted.fill_(True)
            self.mean.copy_(mean)
            self.matrix.copy_(matrix)


def _rooted(vectors: Tensor) -> Tensor:
    """The root of the size of each number, with its sign; vectors [n, d] of length 1."""
    return normalize(vectors.sign() * vectors.abs().sqrt(), dim=-1)
