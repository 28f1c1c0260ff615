"""Training's mentions and entities as the model of this moment sees them; what negatives are picked by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from melder.data import DataSet, entity_items, mention_items
from melder.features import Features
from melder.records import Item, Mention
from melder.runs.model import CHUNK, Model
from melder.training.ranking import chunks

__all__ = ["CurrentModel", "FeaturesNow", "ItemsNow"]


class CurrentModel(Protocol):
    """Features in chunks, without gradients."""

    @property
    def model(self) -> Model: ...

    def mentions(self, rows: np.ndarray) -> Iterator[Features]:
        """Of the training examples `rows`, in their order."""
        ...

    def entities(self) -> Iterator[Features]:
        """Of every entity."""
        ...


@dataclass(frozen=True)
class FeaturesNow:
    """The current features under a frozen encoder, which do not change.

    Args:
        model: That is trained.
        mention_features: Of all mentions.
        rows: Of the examples in these.
        entity_features: Of all entities.
    """

    model: Model
    mention_features: Features
    rows: Sequence[int]
    entity_features: Features

    def mentions(self, rows: np.ndarray) -> Iterator[Features]:
        chosen = torch.tensor(np.asarray(self.rows)[rows])
        starts = range(0, len(chosen), CHUNK)
        return (self.mention_features[chosen[start : start + CHUNK]].to(torch.float32) for start in starts)

    def entities(self) -> Iterator[Features]:
        return chunks(self.entity_features)


@dataclass(frozen=True)
class ItemsNow:
    """The current features under an encoder that is trained: everything is encoded again, with as many pictures as
    linking compares.

    Args:
        model: That is trained.
        dataset: Of mentions and entities.
        examples: Mentions.
        modalities: That are read of them.
    """

    model: Model
    dataset: DataSet
    examples: Sequence[Mention]
    modalities: frozenset[str]

    def mentions(self, rows: np.ndarray) -> Iterator[Features]:
        chosen = [self.examples[row] for row in rows]
        pictures = self.model.matcher.pictures
        return self._encoded(mention_items(chosen, self.dataset, self._separator, self.modalities, pictures))

    def entities(self) -> Iterator[Features]:
        entities, pictures = self.dataset.entities, self.model.matcher.pictures
        items = entity_items(entities, self.dataset, self._separator, self.modalities, pictures=pictures)
        return self._encoded(items)

    @property
    def _separator(self) -> str:
        return self.model.encoder.separator

    def _encoded(self, items: list[Item]) -> Iterator[Features]:
        return (self.model.features(items[start : start + CHUNK]) for start in range(0, len(items), CHUNK))
