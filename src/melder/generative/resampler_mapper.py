"""A small resampler: each prefix token asks all patches of a picture (Perceiver Resampler, arXiv 2204.14198 §2.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from melder.generative.mapper import Mapper, Standardized
from melder.methods.gemel import RESAMPLER_HEADS as HEADS

__all__ = ["ResamplerMapper"]


class ResamplerMapper(Mapper):
    """One layer of cross-attention from learned queries to patches, one of two layers with a residual, and a last one.

    Args:
        patches, patch_width: Shape of a picture's tokens.
        hidden: Width of queries and keys, a multiple of the heads.
        scale: The standard deviation of the language model's embeddings, near which prefixes start.
    """

    def __init__(
        self, patches: int, patch_width: int, tokens: int, width: int, hidden: int, scale: float = 1.0
    ) -> None:
        super().__init__((patches, patch_width), tokens, width)
        self.standardized = Standardized(patch_width)
        self.patch, self.place = nn.Linear(patch_width, hidden), nn.Parameter(torch.randn(patches, hidden) * 0.02)
        self.queries = nn.Parameter(torch.randn(tokens, hidden))
        self.query, self.key_value = nn.Linear(hidden, hidden), nn.Linear(hidden, 2 * hidden)
        self.query_norm, self.patch_norm = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.output = nn.Linear(hidden, hidden)
        self.feed = nn.Sequential(
            nn.LayerNorm(hidden), nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden)
        )
        self.norm, self.up = nn.LayerNorm(hidden), nn.Linear(hidden, width)
        nn.init.normal_(self.up.weight, std=scale * hidden**-0.5)
        self.absent = nn.Parameter(torch.randn(tokens * width) * scale)

    def mapped(self, pictures: Tensor) -> Tensor:
        queries = self.queries.expand(len(pictures), -1, -1)
        patches = self.patch_norm(self.patch(self.standardized(pictures)) + self.place)
        queries = queries + self._attended(self.query_norm(queries), patches)
        queries = queries + self.feed(queries)
        prefixes: Tensor = self.up(self.norm(queries))
        return prefixes.flatten(1)

    def fit(self, pictures: Tensor) -> None:
        self.standardized.fit(pictures)

    def _attended(self, queries: Tensor, patches: Tensor) -> Tensor:
        keys, values = self.key_value(patches).chunk(2, dim=2)
        parts = [tensor.unflatten(2, (HEADS, -1)).transpose(1, 2) for tensor in (self.query(queries), keys, values)]
        attended: Tensor = self.output(scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2))
        return attended
