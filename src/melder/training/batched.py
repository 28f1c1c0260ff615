"""What a training step takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from melder.features import Features
from melder.further_pictures import FurtherPictures
from melder.protocols import Inputs

__all__ = ["BatchItems", "Batched", "EncodedItems", "FurtherInputs", "PreparedItems"]


class BatchItems(Protocol):
    """The mentions or the entities of a batch, before an encoder that is trained or after one that is frozen."""

    def mapped(self, change: Callable[[Tensor], Tensor]) -> BatchItems:
        """The same with every tensor changed, such as moved to another device."""
        ...

    def features(self, encode: Callable[[Inputs], Features]) -> Features:
        """Their features; `encode` makes them where they are not made yet."""
        ...


@dataclass
class EncodedItems:
    """Features of a frozen encoder.

    Args:
        encoded: With surfaces.
    """

    encoded: Features

    def mapped(self, change: Callable[[Tensor], Tensor]) -> EncodedItems:
        return EncodedItems(self.encoded.mapped(change))

    def features(self, encode: Callable[[Inputs], Features]) -> Features:
        return self.encoded


@dataclass
class FurtherInputs:
    """The pictures behind the first ones of n items, x in all, before the encoder.

    Args:
        counts: [n], int64, how many each item has.
        inputs: Of x items, each with one of the pictures and no text.
    """

    counts: Tensor
    inputs: Inputs

    def mapped(self, change: Callable[[Tensor], Tensor]) -> FurtherInputs:
        return FurtherInputs(change(self.counts), {name: change(tensor) for name, tensor in self.inputs.items()})


@dataclass
class PreparedItems:
    """What an encoder that is trained reads.

    Args:
        inputs: Of n items.
        surfaces: [n], a mention's surface, or an entity's name and aliases.
        further: Their pictures behind the first; None where there is none.
    """

    inputs: Inputs
    surfaces: list[tuple[str, ...]]
    further: FurtherInputs | None = None

    def mapped(self, change: Callable[[Tensor], Tensor]) -> PreparedItems:
        inputs = {name: change(tensor) for name, tensor in self.inputs.items()}
        return replace(self, inputs=inputs, further=self.further and self.further.mapped(change))

    def features(self, encode: Callable[[Inputs], Features]) -> Features:
        features = replace(encode(self.inputs), surfaces=self.surfaces)
        if self.further is None:
            return features
        views = encode(self.further.inputs)
        pictures = FurtherPictures.of(self.further.counts, views.image_global, views.image_tokens, views.has_image)
        return replace(features, further=pictures)


@dataclass
class Batched:
    """A batch of n mentions, before the encoder or after it.

    Args:
        mentions: n of them.
        entities: The n gold ones first, then the sampled negatives.
        entity_rows: [entities], int64, numbers of the entities, one for those that are no negatives of each other.
        rows: [n], int64, the examples' own numbers.
        drawn: [n, count], int64, the rows of the knowledge base that they drew as negatives.
    """

    mentions: BatchItems
    entities: BatchItems
    entity_rows: Tensor
    rows: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    drawn: Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.long))

    def to(self, device: torch.device | str) -> Batched:
        """What a step computes with on the device, queued without waiting; `rows` and `drawn`, which the host reads,
        stay where they are."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batched:
        """The same in memory from which a GPU copies while the host goes on; the data loader asks for it."""
        return self._mapped(Tensor.pin_memory)

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> Batched:
        mentions, entities = self.mentions.mapped(change), self.entities.mapped(change)
        return replace(self, mentions=mentions, entities=entities, entity_rows=change(self.entity_rows))
