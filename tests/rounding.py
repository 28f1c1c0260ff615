"""How far apart two numbers may be that are equal in exact arithmetic only.

A sum of n terms, in whatever order, is off by at most n u S, where u is the unit roundoff (half of `eps`) and S the sum
of the terms' sizes (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2). Two ways to sum the same are
therefore within n eps S of each other, on every processor. An inner product counts as such a sum; of several, one after
the other, the lengths add up. Tests take this bound instead of a small number that happened to do on one machine.
"""

from __future__ import annotations

from typing import Any

import torch

from melder.records import Link

__all__ = ["SCORE", "alike", "close", "rounding"]

# Of the sums from a small run's text or picture to a score: widths of 64 and 16, sixteen tokens, nine patches, the
# n-grams of a name.
SCORE = 256


def rounding(terms: int, size: float = 1.0, kind: torch.dtype = torch.float32) -> float:
    """The bound for `terms` terms whose sizes sum to `size`, computed in the type `kind`."""
    return float(terms * torch.finfo(kind).eps * size)


def close(found: Any, expected: Any, terms: int, kind: torch.dtype = torch.float32) -> bool:
    """Whether two arrays or tensors are equal to the rounding of sums of `terms` terms, computed in the type `kind`.

    The size of such a sum is taken to be that of the largest number in `expected`, or 1 if that is more.
    """
    found, expected = torch.as_tensor(found).detach(), torch.as_tensor(expected).detach()
    size = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    return torch.allclose(found.double(), expected.double(), rtol=0, atol=rounding(terms, size, kind))


def alike(found: Link, expected: Link, terms: int = SCORE) -> bool:
    """Whether two links are equal to the rounding of their scores: the same scores from the first to the last, and each
    entity with its own. Entities whose scores are that near to each other may change places, also with the first that
    was cut off."""
    scores = {candidate.id: candidate.score for candidate in expected.candidates}
    if len(found.candidates) != len(scores) or not scores:
        return len(found.candidates) == len(scores)
    last = expected.candidates[-1].score
    own = [scores.get(candidate.id, last) for candidate in found.candidates]
    values = [candidate.score for candidate in found.candidates]
    return close(values, own, terms) and close(values, list(scores.values()), terms)
