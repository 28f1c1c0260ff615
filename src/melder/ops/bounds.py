r"""The most that an inner product with a LayerNorm's output can be, whatever went in.

A LayerNorm gives c = γ ∘ x̂ + β with mean(x̂) = 0 and ‖x̂‖ ≤ √h (a little less than √h, because of its epsilon), so that
for any vector t

    ⟨t, c⟩ = ⟨γ∘t − mean(γ∘t), x̂⟩ + ⟨β, t⟩ ≤ √h ‖γ∘t − mean(γ∘t)‖ + ⟨β, t⟩        `norm_upper_bound`

(a constant may be added to γ∘t, for x̂ sums to 0; the mean makes the norm smallest; then Cauchy and Schwarz).
Numbers are rounded when they are stored and when they are computed with; `rounding` says how far an inner product
may be from the real one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from melder.ops.global_local import Norm

__all__ = ["norm_upper_bound", "rounding"]

# The error of an inner product, as a share of the two lengths. float32: sums of a thousand terms, in any order, and the
# scores that they are compared with. float16: both vectors and the result are rounded, by 2^-11 each; what is added up
# is float32.
ROUNDING = {torch.float32: 2.0**-14, torch.float16: 2.0**-9}


def rounding(lengths: Tensor, longest: Tensor, width: int, kind: torch.dtype) -> Tensor:
    """How far at most inner products are from those of what is stored, which was divided by the longest length.

    Args:
        lengths: [n], of vectors whose inner products with one of length one are taken.
        longest: The length of the longest of them, a scalar.
        width: Numbers of a vector.
        kind: The type in which they are stored.

    Returns:
        [n].
    """
    smallest = torch.finfo(kind).tiny * torch.finfo(kind).eps  # numbers below it are lost, whatever their share
    return ROUNDING[kind] * lengths + 2 * math.sqrt(width) * smallest * longest


def norm_upper_bound(target: Tensor, norm: Norm) -> Tensor:
    """[n]: at least <target, c> for every output c of the LayerNorm; target [n, h].

    Args:
        target: [n, h].
        norm: The LayerNorm.

    Returns:
        [n].
    """
    scaled = norm.weight * target
    direction = scaled - scaled.mean(dim=-1, keepdim=True)
    bound: Tensor = math.sqrt(target.shape[-1]) * torch.linalg.vector_norm(direction, dim=-1) + target @ norm.bias
    return bound
