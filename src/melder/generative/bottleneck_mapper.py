"""Two layers from a picture's vector to its prefix: fewer parameters than one, since few units stand between them."""

from __future__ import annotations

from torch import Tensor, nn

from melder.generative.mapper import Mapper, Standardized

__all__ = ["BottleneckMapper"]


class BottleneckMapper(Mapper):
    """V = reshape(U gelu(D standardized(v) + c) + b, (tokens, width)).

    Args:
        hidden: Units between the layers.
        scale: The standard deviation of the language model's embeddings, near which prefixes start.
    """

    def __init__(self, picture_width: int, tokens: int, width: int, hidden: int, scale: float = 1.0) -> None:
        super().__init__((picture_width,), tokens, width)
        self.standardized = Standardized(picture_width)
        self.down, self.up = nn.Linear(picture_width, hidden), nn.Linear(hidden, tokens * width)
        nn.init.normal_(self.down.weight, std=picture_width**-0.5)
        nn.init.normal_(self.up.weight, std=scale * hidden**-0.5)
        self.absent = nn.Parameter(self.up.bias.detach().clone())

    def mapped(self, pictures: Tensor) -> Tensor:
        prefixes: Tensor = self.up(nn.functional.gelu(self.down(self.standardized(pictures))))
        return prefixes

    def fit(self, pictures: Tensor) -> None:
        self.standardized.fit(pictures)
