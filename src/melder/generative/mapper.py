"""The part of GEMEL that learns: from a picture to a few vectors of the language model, its prefix.

* linear: V = reshape(W v + b, (prefix tokens, width)) of the picture's vector v, without activation, norm or dropout,
  as published
* bottleneck: two layers of v with fewer units between them
* resampler: attention of one query a prefix token over the picture's patches, after Flamingo (arXiv 2204.14198)

A mention without a picture has a learned prefix instead, which starts as the linear mapper's answer to a vector of
zeros, b; with `published` it stays that answer.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from melder.records import MelderError

__all__ = ["LinearMapper", "Mapper", "Standardized", "read_official_mapper"]


class Mapper(nn.Module):
    """What each mapper is: pictures [n, picture_shape…] and whether they are there [n] to prefixes [n, tokens, width].

    A subclass maps pictures that are there in `mapped`.

    Args:
        picture_shape: Of one picture: a vector's width, or patches and their width.
    """

    def __init__(self, picture_shape: tuple[int, ...], tokens: int, width: int) -> None:
        super().__init__()
        self.picture_shape, self.tokens, self.width = picture_shape, tokens, width
        self.absent: nn.Parameter | None = None

    def forward(self, pictures: Tensor, there: Tensor) -> Tensor:
        shape = (-1, *[1] * len(self.picture_shape))
        prefixes = self.mapped(pictures * there.view(shape)).view(-1, self.tokens, self.width)
        if self.absent is None:
            return prefixes
        return torch.where(there[:, None, None], prefixes, self.absent.view(self.tokens, self.width))

    def mapped(self, pictures: Tensor) -> Tensor:
        """[n, tokens * width] of pictures [n, picture_shape…]."""
        raise NotImplementedError

    def fit(self, pictures: Tensor) -> None:
        """Learn of pictures [n, picture_shape…] what is not trained; the linear mapper needs nothing."""

    def start_at(self, weight: Tensor, bias: Tensor, absent: Tensor) -> None:
        """Start as this linear map: weight [tokens * width, g], bias and the prefix without picture [tokens * width].

        Raises:
            MelderError: It is no linear map.
        """
        raise MelderError("mapper_start: this mapper has no start of its own; use the linear one")


class LinearMapper(Mapper):
    """One linear layer of the picture's vector.

    Args:
        picture_width: Of a picture's vector.
        tokens: Positions of the prefix.
        width: Of the language model's embeddings.
        published: A missing picture is zeros rather than a learned prefix.
    """

    def __init__(self, picture_width: int, tokens: int, width: int, *, published: bool = False) -> None:
        super().__init__((picture_width,), tokens, width)
        self.linear = nn.Linear(picture_width, tokens * width)
        self.absent = None if published else nn.Parameter(self.linear.bias.detach().clone())

    def mapped(self, pictures: Tensor) -> Tensor:
        prefixes: Tensor = self.linear(pictures)
        return prefixes

    def start_at(self, weight: Tensor, bias: Tensor, absent: Tensor) -> None:
        with torch.no_grad():
            self.linear.weight.copy_(weight)
            self.linear.bias.copy_(bias)
            if self.absent is not None:
                self.absent.copy_(absent)


class Standardized(nn.Module):
    """Vectors [..., width] less their mean, in units of their standard deviation, both of the training pictures.

    Args:
        width: Of the vectors.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def forward(self, vectors: Tensor) -> Tensor:
        return (vectors - self.mean) / self.deviation

    def fit(self, vectors: Tensor) -> None:
        """Take mean and deviation of vectors [..., width]; of fewer than two, and of what is always equal, nothing."""
        rows = vectors.float().flatten(0, -2)
        if len(rows) > 1:
            deviation, mean = torch.std_mean(rows, dim=0)
            self.mean.copy_(mean)
            self.deviation.copy_(torch.where(deviation > 0, deviation, 1.0))


def read_official_mapper(
    state: Mapping[str, Tensor], width: int, tokens: int, *, published: bool = True
) -> LinearMapper:
    """The mapper of the published code's state dict.

    Args:
        state: `weight` [tokens * width, picture_width] and `bias`.
        width: Of the language model's embeddings.
        tokens: Positions of the prefix.
        published: As for `LinearMapper`.

    Returns:
        With these weights.

    Raises:
        MelderError: The state is none, or is one for a language model of another width.
    """
    if state.keys() != {"weight", "bias"}:
        raise MelderError(f"a mapper's state holds weight and bias, not {', '.join(sorted(state)) or 'nothing'}")
    rows, picture_width = state["weight"].shape
    if rows != tokens * width:
        raise MelderError(
            f"the mapper makes {rows:,} numbers of a picture, but {tokens} prefix tokens of this language model are "
            f"{tokens * width:,} ({tokens} × {width:,}): use the model and the number of tokens it was trained with"
        )
    mapper = LinearMapper(picture_width, tokens, width, published=published)
    mapper.linear.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    if mapper.absent is not None:
        mapper.absent.data.copy_(mapper.linear.bias.detach())
    return mapper
