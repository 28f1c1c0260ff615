"""From the token vectors of a text to one: what sentence-transformers calls pooling.

Source: `1_Pooling/config.json` of sentence-transformers models, in both of its spellings (one boolean a mode; the name
of the mode, or a list of several, whose vectors are then joined).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from melder.records import MelderError

__all__ = ["POOLINGS", "pool", "read_pooling"]


def mean(tokens: Tensor, mask: Tensor) -> Tensor:
    weights = mask.to(tokens.dtype)[..., None]
    return (tokens * weights).sum(dim=1) / weights.sum(dim=1)


def mean_sqrt_length(tokens: Tensor, mask: Tensor) -> Tensor:
    weights = mask.to(tokens.dtype)[..., None]
    return (tokens * weights).sum(dim=1) / weights.sum(dim=1).sqrt()


def weighted_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """The mean with weights 1, 2, 3, …: later tokens of a causal model have read more."""
    weights = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).to(tokens.dtype)[..., None]
    return (tokens * weights).sum(dim=1) / weights.sum(dim=1)


def first(tokens: Tensor, mask: Tensor) -> Tensor:
    return tokens[:, 0]


def last(tokens: Tensor, mask: Tensor) -> Tensor:
    return tokens[torch.arange(len(tokens), device=tokens.device), mask.sum(dim=1) - 1]


def largest(tokens: Tensor, mask: Tensor) -> Tensor:
    return tokens.masked_fill(~mask[..., None], torch.finfo(tokens.dtype).min).amax(dim=1)


# tokens [n, L, d], mask [n, L] with a True in every row, padding on the right -> [n, d]
POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": mean,
    "cls": first,
    "lasttoken": last,
    "max": largest,
    "mean_sqrt_len_tokens": mean_sqrt_length,
    "weightedmean": weighted_mean,
}
_SPELLINGS = {
    "mean_tokens": "mean",
    "cls_token": "cls",
    "max_tokens": "max",
    "weightedmean_tokens": "weightedmean",
}


def pool(modes: Sequence[str], tokens: Tensor, mask: Tensor) -> Tensor:
    """The vectors of each mode, joined in their order.

    Args:
        modes: keys of `POOLINGS`
        tokens: [n, L, d]
        mask: [n, L], True = valid

    Returns:
        [n, modes · d]
    """
    return torch.cat([POOLINGS[mode](tokens, mask) for mode in modes], dim=-1)


def read_pooling(file: str | Path | None) -> tuple[str, ...]:
    """The modes that a configuration file names; `mean` without a file.

    Args:
        file: of a sentence encoder's pooling module

    Returns:
        keys of `POOLINGS`

    Raises:
        MelderError: Other modes.
    """
    if file is None:
        return ("mean",)
    content = json.loads(Path(file).read_text(encoding="utf-8"))
    prefix = "pooling_mode_"
    chosen = [name.removeprefix(prefix) for name, on in content.items() if name.startswith(prefix) and on]
    named = content.get("pooling_mode", chosen or "mean")  # the mean where no mode is named, as its authors take it
    modes = [named] if isinstance(named, str) else list(named)
    modes = [_SPELLINGS.get(mode, mode) for mode in modes]
    if not modes or not set(modes) <= POOLINGS.keys():
        wanted = " + ".join(modes) or "nothing"
        raise MelderError(f"{file}: pools by {wanted}; a text model here pools by one or more of {', '.join(POOLINGS)}")
    return tuple(sorted(modes, key=list(_ORDER).index)) if "pooling_mode" not in content else tuple(modes)


_ORDER = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")  # of joined vectors, if unnamed
