"""A start for the linear mapper: pictures are mapped near the words that name what they show.

For training pictures X [n, g], standardised, and targets Y [n, tokens * width], in which prefix token i is the
embedding of the i-th token of the answer's name (the last one again where the name is shorter), ridge regression has

    W = (X'X + r I)^-1 X'Y

A language model that reads the name's own words where the picture stands needs to learn far less than one that reads
noise there. The strength r is that of the least generalised cross-validation error (Golub, Heath and Wahba 1979).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from melder.generative.language_model import LanguageModel
from melder.generative.mapper import Mapper, Standardized

__all__ = ["start_at_names"]

STRENGTHS = torch.logspace(-3, 2, 11, dtype=torch.float64)  # times n, of which one is chosen


def start_at_names(
    mapper: Mapper, language_model: LanguageModel, pictures: Tensor, names: Sequence[Sequence[int]]
) -> None:
    """Set the mapper to the regression; the prefix without a picture becomes the mean of the targets.

    Args:
        pictures: [n, g] of training mentions; equal ones make all prefixes the mean of the targets.
        names: The token ids of each one's answer, its end included.
    """
    targets = _targets(language_model, names, mapper.tokens)
    standardized = Standardized(pictures.shape[1])
    standardized.fit(pictures)
    inputs, center = standardized(pictures.float()).double(), targets.mean(dim=0)
    weight = _ridge(inputs, targets - center).T / standardized.deviation  # [tokens * width, g]
    mapper.start_at(weight, center - weight @ standardized.mean.double(), center)


def _targets(language_model: LanguageModel, names: Sequence[Sequence[int]], tokens: int) -> Tensor:
    """[n, tokens * width] float64"""
    first = [[*name[:-1], *[name[-2]] * tokens][:tokens] for name in names]
    with torch.no_grad():
        targets = language_model.embed(torch.tensor(first, device=language_model.device)).flatten(1)
    return targets.double().cpu()


def _ridge(inputs: Tensor, targets: Tensor) -> Tensor:
    """[g, t] of inputs [n, g] and targets [n, t] with mean zero."""
    count = len(inputs)
    left, singular, right = torch.linalg.svd(inputs, full_matrices=False)
    rotated, squares = left.T @ targets, singular**2
    total = (targets**2).sum()

    def error(strength: Tensor) -> float:
        shrunk = squares / (squares + strength)
        explained = ((2 * shrunk - shrunk**2)[:, None] * rotated**2).sum()
        return float((total - explained) / (1 - (shrunk.sum() + 1) / count).clamp(min=1e-3) ** 2)

    best = min((strength * count for strength in STRENGTHS), key=error)
    weight: Tensor = right.T @ ((singular / (squares + best))[:, None] * rotated)
    return weight
