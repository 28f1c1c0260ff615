"""What a training step takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from melder.features import Features
from melder.protocols import Inputs

__all__ = ["Batched", "FurtherInputs"]


@dataclass
class FurtherInputs:
    """The pictures behind the first ones of n items, x in all, before the encoder.

    Args:
        counts: [n] int64, how many each item has.
        inputs: Of x items, each with one of the pictures and no text.
    """

    counts: Tensor
    inputs: Inputs

    def mapped(self, change: Callable[[Tensor], Tensor]) -> FurtherInputs:
        """The same with every tensor changed, such as moved to another device."""
        return FurtherInputs(change(self.counts), {name: change(tensor) for name, tensor in self.inputs.items()})


@dataclass
class Batched:
    """A batch of n mentions before the encoder (inputs) or after it (features).

    The first n entities are the gold ones, the others sampled negatives; `entity_rows` [entities] numbers them all,
    with one number for entities that are no negatives of each other. `rows` [n] are the examples' own numbers, `drawn`
    [n, count] the rows of the knowledge base that they drew as negatives. Before the encoder, further pictures stand
    apart; features hold them.
    """

    mentions: Features | Inputs
    entities: Features | Inputs
    mention_surfaces: list[tuple[str, ...]]
    entity_surfaces: list[tuple[str, ...]]
    entity_rows: Tensor
    rows: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    drawn: Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.long))
    mention_pictures: FurtherInputs | None = None
    entity_pictures: FurtherInputs | None = None

    def to(self, device: torch.device | str) -> Batched:
        """What a step computes with on the device, queued without waiting; `rows` and `drawn`, which the host reads,
        stay where they are."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batched:
        """The same in memory from which a GPU copies while the host goes on; the data loader asks for it."""
        return self._mapped(Tensor.pin_memory)

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> Batched:
        mentions, entities = _mapped(self.mentions, change), _mapped(self.entities, change)
        return replace(
            self,
            mentions=mentions,
            entities=entities,
            entity_rows=change(self.entity_rows),
            mention_pictures=self.mention_pictures and self.mention_pictures.mapped(change),
            entity_pictures=self.entity_pictures and self.entity_pictures.mapped(change),
        )


def _mapped(given: Features | Inputs, change: Callable[[Tensor], Tensor]) -> Features | Inputs:
    if isinstance(given, Features):
        return given.mapped(change)
    return {name: change(tensor) for name, tensor in given.items()}
