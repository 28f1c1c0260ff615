"""Softmax and means over the valid tokens only; rows without any valid token give finite, meaningless numbers.

A mask is boolean, True = valid. None = everything is valid. Whoever calls these replaces the meaningless rows
(units put a learned constant there); what matters here is that neither a value nor a gradient is NaN.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["masked_mean", "masked_softmax", "never_empty", "uniform_weights"]


def never_empty(mask: Tensor | None) -> Tensor | None:
    """A mask whose rows without a valid token are turned into rows where all are valid, so that no softmax is NaN.

    Args:
        mask: [..., L], True = valid; None = all are.

    Returns:
        [..., L], or None.
    """
    return None if mask is None else mask | ~mask.any(dim=-1, keepdim=True)


def masked_softmax(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over the last axis; what is masked gets 0.

    Args:
        logits: [..., L].
        mask: Broadcasts against `logits`, True = valid; None = all are.

    Returns:
        [..., L].
    """
    mask = never_empty(mask)
    return (logits if mask is None else logits.masked_fill(~mask, float("-inf"))).softmax(dim=-1)


def uniform_weights(mask: Tensor, dtype: object = None) -> Tensor:
    """One over the number of valid tokens at each of them, zero elsewhere.

    Args:
        mask: [n, L], True = valid.
        dtype: Of the result; None = that of the mask, which is to be a number then.

    Returns:
        [n, L].
    """
    valid = never_empty(mask)
    assert valid is not None
    weights = valid.to(dtype=dtype)  # type: ignore[call-overload]
    return weights / weights.sum(dim=-1, keepdim=True)  # type: ignore[no-any-return]


def masked_mean(tokens: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of tokens over the valid ones.

    Args:
        tokens: [n, L, h].
        mask: [n, L], True = valid; None = all are.

    Returns:
        [n, h].
    """
    if mask is None:
        return tokens.mean(dim=1)
    return (uniform_weights(mask, tokens.dtype)[:, None] @ tokens)[:, 0]
