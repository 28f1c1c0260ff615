"""Softmax and means over the valid tokens only; rows without any valid token give finite, meaningless numbers.

A mask is boolean, True = valid. None = everything is valid. Whoever calls these replaces the meaningless rows
(units put a learned constant there); what matters here is that neither a value nor a gradient is NaN.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["masked_mean", "masked_softmax", "never_empty", "uniform_weights"]


def never_empty(mask: Tensor | None) -> Tensor | None:
    """[..., L] with rows that have no valid token turned into rows where all are valid."""
    return None if mask is None else mask | ~mask.any(dim=-1, keepdim=True)


def masked_softmax(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over the last axis; `mask` broadcasts against `logits`."""
    mask = never_empty(mask)
    return (logits if mask is None else logits.masked_fill(~mask, float("-inf"))).softmax(dim=-1)


def uniform_weights(mask: Tensor, dtype: object = None) -> Tensor:
    """[n, L]: one over the number of valid tokens at each of them, zero elsewhere."""
    valid = never_empty(mask)
    assert valid is not None
    weights = valid.to(dtype=dtype)  # type: ignore[call-overload]
    return weights / weights.sum(dim=-1, keepdim=True)  # type: ignore[no-any-return]


def masked_mean(tokens: Tensor, mask: Tensor | None) -> Tensor:
    """[n, h]: the mean of tokens [n, L, h] over the valid ones."""
    if mask is None:
        return tokens.mean(dim=1)
    return (uniform_weights(mask, tokens.dtype)[:, None] @ tokens)[:, 0]
