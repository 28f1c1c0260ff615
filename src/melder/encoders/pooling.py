"""From the token vectors of a text to one: what sentence-transformers calls pooling.

Sources: `1_Pooling/config.json` of sentence-transformers models, in both of its spellings (one boolean a mode;
the name of the mode).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from melder.records import MelderError

__all__ = ["POOLINGS", "read_pooling"]


def mean(tokens: Tensor, mask: Tensor) -> Tensor:
    weights = mask.to(tokens.dtype)[..., None]
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
}
_SPELLINGS = {"mean_tokens": "mean", "cls_token": "cls", "max_tokens": "max"}


def read_pooling(file: str | Path | None) -> str:
    """The mode that a configuration file names; `mean` without a file. Raises `MelderError` for other modes."""
    if file is None:
        return "mean"
    content = json.loads(Path(file).read_text(encoding="utf-8"))
    prefix = "pooling_mode_"
    chosen = [name.removeprefix(prefix) for name, on in content.items() if name.startswith(prefix) and on is True]
    named = content.get("pooling_mode", chosen)
    modes = [named] if isinstance(named, str) else list(named)
    modes = [_SPELLINGS.get(mode, mode) for mode in modes]
    if len(modes) != 1 or modes[0] not in POOLINGS:
        wanted = " + ".join(modes) or "nothing"
        raise MelderError(f"{file}: pools by {wanted}; a text model here pools by one of {', '.join(POOLINGS)}")
    return modes[0]
