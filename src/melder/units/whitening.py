r"""Whitening: global vectors of a frozen encoder, spread evenly in all directions in which entities differ.

    w(x) = (Σ + r I)^(-1/2) (y - μ),    y = sign(x) √|x|, of length 1,    r = (1 + 3 d / n) tr Σ / d

with mean μ and covariance Σ of the y of n entities, of d numbers each. Networks that learned to classify pictures put
most of what they say into few directions ("it is round", "it is on white"), in which pictures of one thing may differ
and things agree (Su et al., 2021, for sentences; Jégou and Chum, 2012, for pictures). The root does the same for
single numbers: one that is very large no longer speaks for all. The ridge r leaves directions alone of which few
entities tell nothing. Directions in which no entity differs are left out.

`PatchWhitening` does the same to all patches of a picture as one long vector x, which says what is where: of its
directions only those with the largest variances are left. There are more numbers than pictures, so that directions
come from the inner products of the pictures.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import normalize

__all__ = ["FEWEST", "UNKNOWN", "PatchWhitening", "Whitening", "deviation"]

FEWEST = 32  # vectors: the directions in which fewer differ are those of chance
RIDGE = 3.0  # times d / n; settled on train mentions of grocery (81 entities) and emoji (1,911)
PATCH_RIDGE = 1.0  # times the mean variance; settled on train mentions of emoji, with entities that no fit had seen
PICTURES = 2048  # whose patches are looked at: more cost a minute, and added half a point of a hundred there
COMPONENTS = 512  # numbers that are left of a picture's patches
UNKNOWN = 0.13  # the deviation of cosines where there are no two entities to tell it; MiniLM's between sentences
LEAST = 1e-3  # of a deviation: vectors that are all alike tell nothing
PAIRED = 2048  # vectors whose pairs are looked at
NEGLIGIBLE = 1e-9  # of the largest variance: what float32 leaves of a direction that is not there


class Whitening(nn.Module):
    """Vectors to whitened ones of the same width, whose length says nothing; before `fit` they keep their direction.

    Args:
        width: Of the vectors.
    """

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


class PatchWhitening(nn.Module):
    """Patches [n, P, d] to [n, components] whose length says nothing; zeros before `fit`.

    How many patches a picture has is learned by `fit`, and read off stored weights.

    Args:
        components: Principal components that are kept of a picture's patches.
    """

    mean: Tensor
    matrix: Tensor

    def __init__(self, components: int = COMPONENTS) -> None:
        super().__init__()
        self.components = components
        self.register_buffer("mean", torch.zeros(0))
        self.register_buffer("matrix", torch.zeros(0, components))

    def forward(self, patches: Tensor) -> Tensor:
        """[n, components] of patches [n, P, d]."""
        if not len(self.mean):
            return patches.new_zeros(len(patches), self.components)
        out: Tensor = (_rooted(patches.flatten(1)) - self.mean) @ self.matrix
        return out

    def fit(self, patches: Tensor) -> None:
        """Learn of the patches [n, P, d] of some pictures, evenly spread over n; of fewer than `FEWEST` nothing."""
        count = min(len(patches), PICTURES)
        if count < FEWEST:
            return
        chosen = patches[torch.arange(count, device=patches.device) * len(patches) // count]
        rooted = _rooted(chosen.detach().double().cpu().flatten(1))
        mean = rooted.mean(dim=0)
        products = (rooted - mean) @ (rooted - mean).t() / count
        variances, mixtures = (tensor.flip(-1) for tensor in torch.linalg.eigh(products))
        used = int((variances[: self.components] > NEGLIGIBLE * variances[0]).sum())
        if used and bool(variances[0] > 0):
            ridge = PATCH_RIDGE * products.trace() / rooted.shape[1]
            directions = (rooted - mean).t() @ mixtures[:, :used] / (count * variances[:used]).sqrt()
            matrix = directions * ((variances[0] + ridge) / (variances[:used] + ridge)).sqrt()
            self._take(mean, functional.pad(matrix, (0, self.components - used)))

    def _take(self, mean: Tensor, matrix: Tensor) -> None:
        self.mean, self.matrix = (tensor.to(self.mean) for tensor in (mean, matrix))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        """Take the stored number of patches first."""
        for name in ("mean", "matrix"):
            if (stored := state_dict.get(prefix + name)) is not None:
                setattr(self, name, getattr(self, name).new_empty(stored.shape))
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def deviation(vectors: Tensor) -> Tensor:
    """The standard deviation of the cosines between different vectors, by which temperatures are set.

    Args:
        vectors: [n, d], of which the first `PAIRED` are compared.

    Returns:
        A scalar; `UNKNOWN` where there are too few to say.
    """
    directions = normalize(vectors[:PAIRED], dim=-1)
    if len(directions) < FEWEST:
        return vectors.new_tensor(UNKNOWN)
    different = ~torch.eye(len(directions), dtype=torch.bool, device=vectors.device)
    return (directions @ directions.t())[different].std().clamp(min=LEAST)
