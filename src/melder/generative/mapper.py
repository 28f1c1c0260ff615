"""The only part of GEMEL that learns: one linear layer from a picture's vector to a few vectors of the language model.

    V = reshape(W v + b, (prefix tokens, width))

without activation, norm or dropout, as published. A mention without a picture has a learned prefix instead, which
starts as b, the mapper's answer to a vector of zeros; with `published` it stays that answer.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from melder.records import MelderError

__all__ = ["Mapper", "read_official_mapper"]


class Mapper(nn.Module):
    """Pictures [n, picture_width] and whether they are there [n] to prefixes [n, tokens, width]."""

    def __init__(self, picture_width: int, tokens: int, width: int, *, published: bool = False) -> None:
        super().__init__()
        self.tokens, self.width = tokens, width
        self.linear = nn.Linear(picture_width, tokens * width)
        self.absent = None if published else nn.Parameter(self.linear.bias.detach().clone())

    def forward(self, pictures: Tensor, there: Tensor) -> Tensor:
        masked = pictures * there[:, None]
        prefixes: Tensor = self.linear(masked).view(-1, self.tokens, self.width)
        if self.absent is None:
            return prefixes
        return torch.where(there[:, None, None], prefixes, self.absent.view(self.tokens, self.width))


def read_official_mapper(state: Mapping[str, Tensor], width: int, tokens: int, *, published: bool = True) -> Mapper:
    """The mapper of the published code's state dict: `weight` [tokens * width, picture_width] and `bias`.

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
    mapper = Mapper(picture_width, tokens, width, published=published)
    mapper.linear.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    if mapper.absent is not None:
        mapper.absent.data.copy_(mapper.linear.bias.detach())
    return mapper
