r"""Which tokens of a mention each token of an entity is assigned: by optimal transport, or by attention.

* `transport`: rows of the plan of cos(q_i, k_j) (`melder.ops.sinkhorn`; OT-MEL section 3.2): what one row takes,
  the others lack
* `attention`: `softmax_j(q_i k_j / sqrt(h))`: each row for itself

The rows of either sum to 1. OT-MEL's cosines become similarities (cos + 1) / 2, so that logits are cosines over twice
epsilon, a constant aside, which scaling removes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from melder.ops.global_local import AttentionQueries, Keys
from melder.ops.masks import masked_softmax
from melder.ops.sinkhorn import column_potential, column_scaling, log_mass
from melder.ops.softmax import exponentials_

__all__ = ["Assignment", "Kind", "aligned", "aligned_items", "assign"]

Kind = Literal["transport", "attention"]

# Logits within this of zero are exponentiated as they are: the squares of what follows stay far from float32's limit.
LARGEST_LOGIT = 30.0

# Below this epsilon the kernel of cosines in [-1, 1] spans too much for float32, and logarithms are used.
SMALLEST_EPSILON = 0.04


@dataclass(frozen=True)
class Assignment:
    """How tokens are assigned to tokens.

    Args:
        kind: attention or transport.
        epsilon: Of transport, the weight of the entropy.
        iterations: Of Sinkhorn's algorithm.
        detach: No gradient passes through the similarities.
    """

    kind: Kind = "transport"
    epsilon: float = 0.05
    iterations: int = 3
    detach: bool = False

    def query(self, tokens: Tensor) -> Tensor:
        """What an entity's queries [..., h] are multiplied with a mention's `key` as, to give logits."""
        if self.kind == "attention":
            return tokens
        return functional.normalize(tokens.detach() if self.detach else tokens, dim=-1) / (2 * self.epsilon)

    def key(self, tokens: Tensor) -> Tensor:
        if self.kind == "attention":
            return tokens / math.sqrt(tokens.shape[-1])
        return functional.normalize(tokens.detach() if self.detach else tokens, dim=-1)


def aligned(assignment: Assignment, queries: AttentionQueries, keys: Keys) -> tuple[Tensor, Tensor]:
    """Weights whose rows sum to 1 and attention logits, both [M, E, L_e, L_m]; padded mention tokens get no weight.

    The logits are those of attention whatever assigns, which is what distillation compares with the plan.

    Args:
        assignment: Of tokens to tokens.
        queries: Of E entities.
        keys: Of M mentions.

    Returns:
        Weights and logits.
    """
    row_mask = None if queries.mask is None else queries.mask[None]
    column_mask = None if keys.mask is None else keys.mask[:, None]
    row_mass = None if queries.mass is None else queries.mass[None]
    column_mass = None if keys.mass is None else keys.mass[:, None]
    logits = _products(Assignment("attention"), queries, keys)
    if assignment.kind == "attention":
        return _rows(assignment, logits, row_mask, column_mask), logits
    similar = _products(assignment, queries, keys)
    return _rows(assignment, similar, row_mask, column_mask, row_mass, column_mass), logits


def aligned_items(
    assignment: Assignment,
    query: Tensor,
    key: Tensor,
    row_mask: Tensor | None = None,
    column_mask: Tensor | None = None,
    row_mass: Tensor | None = None,
    column_mass: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Weights and logits between two sequences within each item, as `aligned` has them between mentions and entities.

    Args:
        assignment: Of tokens to tokens.
        query: [n, L, h].
        key: [n, L', h].
        row_mask, column_mask: [n, L] and [n, L'], True = valid; None = all are.
        row_mass, column_mass: [n, L] and [n, L'], marginals; None = uniform.

    Returns:
        Both [n, L, L'].
    """
    attention = Assignment("attention")
    logits = attention.query(query) @ attention.key(key).transpose(1, 2)
    if assignment.kind == "attention":
        return _rows(assignment, logits, row_mask, column_mask), logits
    similar = assignment.query(query) @ assignment.key(key).transpose(1, 2)
    return _rows(assignment, similar, row_mask, column_mask, row_mass, column_mass), logits


def _rows(
    assignment: Assignment,
    logits: Tensor,
    row_mask: Tensor | None,
    column_mask: Tensor | None,
    row_mass: Tensor | None = None,
    column_mass: Tensor | None = None,
) -> Tensor:
    """Rows [..., n, m] that sum to 1, of logits; masks and marginals [..., n] and [..., m] are broadcast."""
    if assignment.kind == "attention":
        return masked_softmax(logits, None if column_mask is None else column_mask[..., None, :])
    mu = log_mass(row_mass, row_mask, logits.new_empty(logits.shape[:-1]))
    nu = log_mass(column_mass, column_mask, logits.new_empty((*logits.shape[:-2], logits.shape[-1])))
    potential = column_potential(logits, mu, nu, assignment.iterations)
    return (logits + potential[..., None, :]).softmax(dim=-1)


def _products(assignment: Assignment, queries: AttentionQueries, keys: Keys) -> Tensor:
    return torch.einsum("eih,mjh->meij", assignment.query(queries.query), assignment.key(keys.key))


def assign(
    assignment: Assignment,
    query: Tensor,
    key: Tensor,
    rows: Tensor,
    columns: Tensor,
    largest: float,
    column_mask: Tensor | None = None,
) -> Tensor:
    """Rows [T, L_e, L_m] of T entities and one mention; a row's sum may be anything.

    query [T * L_e, h] and key [h, L_m] are what `Assignment.query` and `key` gave; rows [T, L_e] and columns [L_m]
    are the marginals, zero at padding; `largest`: no logit is further than this from zero; `column_mask` [L_m]: which
    of the mention's tokens are valid, None = all.

    Args:
        assignment: Of tokens to tokens.
        query: [T * L_e, h], as `Assignment.query` makes it ready.
        key: [h, L_m], as `Assignment.key` makes it ready.
        rows: [T, L_e], marginals.
        columns: [L_m], marginals.
        largest: No similarity is above it.
        column_mask: [L_m], True = valid; None = all are.

    Returns:
        [T, L_e, L_m].
    """
    logits = (query @ key).view(*rows.shape, -1)
    if column_mask is not None and assignment.kind == "attention":
        logits = logits.masked_fill(~column_mask, float("-inf"))
    learning = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (logits, rows, columns))
    if assignment.kind == "attention":
        return logits.softmax(dim=-1) if learning or largest > LARGEST_LOGIT else exponentials_(logits)
    if learning or assignment.epsilon < SMALLEST_EPSILON:
        potential = column_potential(
            logits, log_mass(rows, None, rows), log_mass(columns, None, columns), assignment.iterations
        )
        return (logits + potential[:, None]).softmax(dim=-1)
    kernel = exponentials_(logits)
    return kernel * column_scaling(kernel, rows, columns, assignment.iterations)
