r"""Tokens that are alike made one: of an item's L vectors n remain, each the mean of some, with what it counts.

Ward's criterion: of all pairs of tokens i and j, with weights w, the two are merged whose merging moves them least,

    w_i w_j / (w_i + w_j) ‖x_i − x_j‖²,        x = (w_i x_i + w_j x_j) / (w_i + w_j),   w = w_i + w_j

until n are left. ColBERT's token pooling does the same with cosines (Clavié, Chaffin and Adams, 2024,
arXiv:2409.14683); here lengths matter, since queries of an attention are no unit vectors. The weighted mean of the
tokens stays what it was.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["merge_tokens"]

AT_ONCE = 1 << 20  # distances that are held


def merge_tokens(tokens: Tensor, weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Merge each item's tokens until at most `count` have a weight.

    Args:
        tokens: [n, L, h]
        weights: [n, L] what each counts, 0 at padding.
        count: At least 1.

    Returns:
        Tokens [n, count, h] and weights [n, count], the heaviest first; zeros where an item has fewer.
    """
    rows = max(1, AT_ONCE // max(1, tokens.shape[1] ** 2))
    blocks = zip(torch.split(tokens, rows), torch.split(weights, rows), strict=True)
    merged = [_merged(block.clone(), weight.clone(), count) for block, weight in blocks]
    if not merged:
        return tokens[:, :count], weights[:, :count]
    return torch.cat([block for block, _ in merged]), torch.cat([weight for _, weight in merged])


def _merged(tokens: Tensor, weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The same of a few items, whose tensors are overwritten."""
    squares = torch.cdist(tokens, tokens, compute_mode="donot_use_mm_for_euclid_dist").square()
    costs = _costs(squares, weights[:, :, None], weights[:, None])
    costs.diagonal(dim1=1, dim2=2).fill_(float("inf"))
    places = torch.arange(len(tokens), device=tokens.device)
    while len(rows := places[(weights > 0).sum(dim=1) > count]):
        _merge_nearest(tokens, weights, costs, rows)
    order = weights.argsort(dim=1, descending=True, stable=True)[:, :count]
    weights = weights.gather(1, order)
    tokens = tokens.gather(1, order[..., None].expand(-1, -1, tokens.shape[-1]))
    return tokens.masked_fill_(weights[..., None] == 0, 0), weights


def _merge_nearest(tokens: Tensor, weights: Tensor, costs: Tensor, rows: Tensor) -> None:
    """Merge the cheapest pair of each of these items in place, into the first of the two."""
    pairs = costs[rows].flatten(1).argmin(dim=1)
    kept, gone = pairs // costs.shape[1], pairs % costs.shape[1]
    ours, theirs = weights[rows, kept], weights[rows, gone]
    share = (theirs / (ours + theirs))[:, None]
    tokens[rows, kept] = torch.lerp(tokens[rows, kept], tokens[rows, gone], share)
    weights[rows, kept], weights[rows, gone] = ours + theirs, 0
    costs[rows, gone], costs[rows, :, gone] = float("inf"), float("inf")
    squares = (tokens[rows, kept][:, None] - tokens[rows]).square().sum(dim=-1)
    renewed = _costs(squares, weights[rows, kept][:, None], weights[rows])
    renewed[torch.arange(len(rows), device=rows.device), kept] = float("inf")
    costs[rows, kept], costs[rows, :, kept] = renewed, renewed


def _costs(squares: Tensor, ours: Tensor, theirs: Tensor) -> Tensor:
    """What merging costs, of squared distances; infinity where either is padding."""
    costs = squares * ours * theirs / (ours + theirs).clamp(min=torch.finfo(ours.dtype).tiny)
    return costs.masked_fill((ours == 0) | (theirs == 0), float("inf"))
