r"""Entropic optimal transport by Sinkhorn's iterations, batched over all leading axes.

For similarities C [..., n, m] and marginals mu [..., n], nu [..., m], the plan is P = diag(u) exp(C / epsilon) diag(v)
with row sums mu and column sums nu: it maximises <P, C> + epsilon H(P). One iteration scales the columns to nu, then
the rows to mu, so that after any number of them the rows are exact and the columns approximate. OT-MEL uses epsilon
0.05, three iterations and uniform marginals, the routine that SwAV made usual.

* `sinkhorn` and `column_potential` work with logarithms: no epsilon overflows, half precision is computed in float32,
  and gradients reach similarities and marginals.
* `column_scaling` works with exp(C / epsilon) itself, several times faster, where that is safe.

Rows and columns without mass, or masked, have a plan of 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from melder.ops.masks import never_empty

__all__ = ["column_potential", "column_scaling", "log_mass", "sinkhorn"]


def sinkhorn(
    similarity: Tensor,
    rows: Tensor | None = None,
    columns: Tensor | None = None,
    *,
    row_mask: Tensor | None = None,
    column_mask: Tensor | None = None,
    epsilon: float = 0.05,
    iterations: int = 3,
    tolerance: float | None = None,
) -> Tensor:
    """The transport plan.

    Args:
        similarity: [..., n, m].
        rows, columns: [..., n] and [..., m], marginals, each scaled to sum to 1 over its valid entries; None = uniform.
        row_mask, column_mask: True = valid; where none is valid all are taken as valid, and the plan means nothing.
        epsilon: The weight of the entropy; the smaller, the nearer the plan is to a matching.
        iterations: How many; with a tolerance, at most.
        tolerance: Stop as soon as no column sum is further than this from its marginal.

    Returns:
        [..., n, m], in the type of `similarity`.
    """
    kind = similarity.dtype if similarity.dtype == torch.float64 else torch.float32
    logits = similarity.to(kind) / epsilon
    mu = log_mass(rows, row_mask, logits.new_empty(logits.shape[:-1]))
    nu = log_mass(columns, column_mask, logits.new_empty((*logits.shape[:-2], logits.shape[-1])))
    potential = column_potential(logits, mu, nu, iterations, tolerance)
    return (mu[..., None] + (logits + potential[..., None, :]).log_softmax(dim=-1)).exp().to(similarity.dtype)


def log_mass(mass: Tensor | None, mask: Tensor | None, like: Tensor) -> Tensor:
    """Logarithms of marginals that sum to 1, of the shape and type of `like`; -inf where there is no mass.

    Args:
        mass: Marginals; None = uniform.
        mask: True = valid; None = all are.
        like: [..., n], of whose values nothing is read.

    Returns:
        [..., n].
    """
    mass = torch.ones_like(like) if mass is None else mass.to(like.dtype).expand_as(like)
    valid = mass > 0 if mask is None else (mass > 0) & mask
    filled = never_empty(valid)
    assert filled is not None
    # No gradient passes through the logarithm of a zero.
    return torch.where(valid, mass, 1).log().masked_fill(~filled, float("-inf")).log_softmax(dim=-1)


def column_potential(logits: Tensor, mu: Tensor, nu: Tensor, iterations: int, tolerance: float | None = None) -> Tensor:
    """g such that the rows of the plan are mu_i softmax_j(logits_ij + g_j).

    Args:
        logits: [..., n, m], similarities over epsilon.
        mu: [..., n], logarithms of the rows' marginals.
        nu: [..., m], of the columns'.
        iterations: Of Sinkhorn's algorithm.
        tolerance: As for `sinkhorn`.

    Returns:
        [..., m].
    """
    row, potential = torch.zeros_like(mu).masked_fill(mu == float("-inf"), float("-inf")), torch.zeros_like(nu)
    for number in range(iterations):
        mass = (logits + row[..., None]).logsumexp(dim=-2)
        if tolerance is not None and number and bool(((potential + mass).exp() - nu.exp()).abs().max() <= tolerance):
            break
        potential = nu - mass
        row = mu - (logits + potential[..., None, :]).logsumexp(dim=-1)
    return potential


def column_scaling(kernel: Tensor, rows: Tensor, columns: Tensor, iterations: int) -> Tensor:
    """v such that the rows of the plan are proportional to those of kernel * v.

    Safe in float32 while the logarithms of the kernel span no more than about 50.

    Args:
        kernel: [n, l, m], exp(similarity / epsilon), up to a factor.
        rows: [n, l], marginals; 0 = no such row.
        columns: [m], marginals, all positive.
        iterations: Of Sinkhorn's algorithm.

    Returns:
        [n, 1, m].
    """
    scale = (rows > 0).to(kernel.dtype)
    for number in range(iterations):
        column = columns / torch.bmm(scale[:, None], kernel)
        if number + 1 < iterations:
            scale = rows / (kernel * column).sum(dim=-1)
    return column
