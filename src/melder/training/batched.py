"""What a training step takes."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from melder.features import Features
from melder.protocols import Inputs

__all__ = ["Batched"]


@dataclass
class Batched:
    """A batch of n mentions before the encoder (inputs) or after it (features).

    The first n entities are the gold ones, the others sampled negatives; `entity_rows` [entities] numbers them all,
    with one number for entities that are no negatives of each other. `rows` [n] are the examples' own numbers, `drawn`
    [n, count] the rows of the knowledge base that they drew as negatives.
    """

    mentions: Features | Inputs
    entities: Features | Inputs
    mention_surfaces: list[tuple[str, ...]]
    entity_surfaces: list[tuple[str, ...]]
    entity_rows: Tensor
    rows: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    drawn: Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.long))
