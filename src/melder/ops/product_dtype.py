"""What tokens are multiplied in when pairs are scored: bfloat16 pays where the processor has instructions for it, and
costs time where it has none."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import cache
from typing import Literal

import torch
from torch import Tensor

__all__ = ["ProductKind", "product_dtype"]

ProductKind = Literal["float32", "bf16", "auto"]
ROWS, COLUMNS = 2048, 64  # of a tile: fifty entities of forty tokens, and a mention or two
ROUNDS = 15
WORTH = 0.9  # of float32's time: less gained is not worth what is rounded


def product_dtype(kind: ProductKind, width: int) -> torch.dtype | None:
    """The type in which tokens are multiplied; None = that of the weights.

    Args:
        kind: `auto` takes bfloat16 where a tile is multiplied and widened again in less time than in float32, which is
            measured once in a process (some milliseconds).
        width: Of a token's vector.

    Returns:
        bfloat16 or None.
    """
    if kind == "auto":
        return torch.bfloat16 if _bf16_is_faster(width) else None
    return torch.bfloat16 if kind == "bf16" else None


@cache
def _bf16_is_faster(width: int) -> bool:
    tokens, keys = torch.full((ROWS, width), 0.5), torch.full((width, COLUMNS), 0.5)
    wide = _multiplying(tokens, keys)
    narrow = _multiplying(tokens.bfloat16(), keys.bfloat16())
    times = [(_seconds(narrow), _seconds(wide)) for _ in range(ROUNDS)]
    return statistics.median(one / other for one, other in times[1:]) < WORTH


def _multiplying(tokens: Tensor, keys: Tensor) -> Callable[[], object]:
    products, logits = tokens.new_empty(len(tokens), keys.shape[1]), torch.empty(len(tokens), keys.shape[1])

    def multiply() -> None:
        torch.mm(tokens, keys, out=products)
        if products.dtype != logits.dtype:
            logits.copy_(products)

    return multiply


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
