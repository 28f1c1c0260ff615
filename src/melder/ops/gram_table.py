"""N-grams of mentions side by side, to be looked up by those of entities."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["gram_table"]


def gram_table(bucket: Tensor, gram: Tensor, buckets: int) -> tuple[Tensor, Tensor]:
    """A table of the n-grams of mentions, and where each bucket stands in it.

    Args:
        bucket: [m, grams] int64, of each n-gram.
        gram: [m, grams], their weights; 0 at padding.
        buckets: How many there are.

    Returns:
        [rows, m], and the row of each bucket [buckets]; the last row, of the buckets that no mention has, is zero. How
        many rows are filled is not asked: a GPU would be waited for.
    """
    flat = bucket.flatten()
    ordered, order = flat.sort()
    first = functional.pad(ordered[1:] != ordered[:-1], (1, 0))  # where another bucket begins
    row = torch.empty_like(flat).scatter_(0, order, first.cumsum(dim=0))
    table = gram.new_zeros(len(flat) + 1, len(bucket))
    column = torch.arange(len(bucket), device=gram.device)[:, None].expand_as(bucket)
    table.index_put_((row.view_as(bucket), column), gram, accumulate=True)
    place = torch.full((buckets,), len(flat), dtype=torch.int32, device=gram.device)
    return table, place.scatter_(0, flat, row.int())
