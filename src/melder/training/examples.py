"""Training examples: a mention and its entity, as items for a trained encoder or as features of a frozen one; and the
negatives that they draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from melder.data import DataSet, draw_image, entity_items, mention_items
from melder.features import Features, concatenate
from melder.protocols import Encoder, Sampler
from melder.records import Entity, Item, Mention
from melder.training.batched import Batched, EncodedItems, FurtherInputs, PreparedItems
from melder.training.configuration import TrainingConfiguration
from melder.training.negatives.candidates import same_entity
from melder.training.order import BatchPlan, draw

__all__ = ["Examples", "FeatureExamples", "ItemExamples"]


class Examples(Protocol):
    """All training examples of a run."""

    def batch(self, plan: BatchPlan, epoch: int, rows: np.ndarray) -> Batched: ...


@dataclass
class ItemExamples:
    """Examples for an encoder that is trained, which are viewed at random anew every epoch.

    Args:
        encoder: That is trained.
        dataset: Of mentions and entities.
        mentions: That are answered by an entity.
        answers: The rows of these entities.
        modalities: That are read of mentions and entities.
        training: What is hidden and how pictures are viewed.
        negatives: Draws rows of entities.
        pictures: How many pictures of a mention or an entity are compared, as linking does; 1 = one, drawn anew every
            epoch.
    """

    encoder: Encoder
    dataset: DataSet
    mentions: Sequence[Mention]
    answers: Sequence[int]
    modalities: frozenset[str]
    training: TrainingConfiguration
    negatives: Sampler
    pictures: int = 1

    def batch(self, plan: BatchPlan, epoch: int, rows: np.ndarray) -> Batched:
        pairs = [self._pair(plan, epoch, int(row)) for row in rows]
        mentions, entities = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        drawn = self.negatives.draw(plan.seed, epoch, rows)
        flat = drawn.reshape(-1)
        entities += self._shown([self.dataset.entities[row] for row in flat], plan, epoch, flat.tolist())
        return Batched(
            self._prepared(mentions),
            self._prepared(entities),
            torch.from_numpy(self.numbers[np.concatenate([np.array(self.answers)[rows], flat])]),
            torch.from_numpy(rows),
            torch.from_numpy(drawn),
        )

    @cached_property
    def numbers(self) -> np.ndarray:
        return same_entity(self.dataset)

    def _prepared(self, items: list[Item]) -> PreparedItems:
        return PreparedItems(self.encoder.prepare(items), [item.surfaces for item in items], self._further(items))

    def _shown(
        self, entities: Sequence[Entity], plan: BatchPlan, epoch: int, rows: Sequence[int] | np.ndarray
    ) -> list[Item]:
        """The items of entities, each with its first pictures or with one that is drawn by a number of `rows`."""
        drawn = None
        if self.pictures == 1:
            counts = [len(entity.images) for entity in entities]
            drawn = [draw_image(count, plan.seed, epoch, row) for count, row in zip(counts, rows, strict=True)]
        separator = self.encoder.separator
        return entity_items(entities, self.dataset, separator, self.modalities, drawn, self.pictures)

    def _mention(self, plan: BatchPlan, epoch: int, row: int) -> Item:
        """The item of a mention, with its first pictures or with one that is drawn."""
        mention = self.mentions[row]
        first = draw_image(len(mention.images), plan.seed, epoch, row) if self.pictures == 1 else 0
        shown, separator = mention.with_images(mention.images[first:]), self.encoder.separator
        return mention_items([shown], self.dataset, separator, self.modalities, self.pictures)[0]

    def _pair(self, plan: BatchPlan, epoch: int, row: int) -> tuple[Item, Item]:
        entity = self.dataset.entities[self.answers[row]]
        pair = self._mention(plan, epoch, row), self._shown([entity], plan, epoch, [row])[0]
        hidden = plan.hidden(epoch, row, self.training.drop_text, self.training.drop_image)
        views = draw("view", plan.seed, epoch, row).integers(2**31, size=2).tolist()
        viewed = [
            replace(item, augment=view if self.training.augment else None)
            for item, view in zip(pair, views, strict=True)
        ]
        sees = self.encoder.sizes.image_global is not None
        read = [_hide(item, bool(row[0]), bool(row[1]), sees) for item, row in zip(viewed, hidden, strict=True)]
        return read[0], read[1]

    def _further(self, items: Sequence[Item]) -> FurtherInputs | None:
        """The pictures of items behind their first ones, each with a view of its own; None where there is none."""
        pictures = [
            Item(image=picture, augment=None if item.augment is None else item.augment + number)
            for item in items
            for number, picture in enumerate(item.further, start=1)
        ]
        if not pictures or self.encoder.sizes.image_global is None:
            return None
        return FurtherInputs(torch.tensor([len(item.further) for item in items]), self.encoder.prepare(pictures))


@dataclass
class FeatureExamples:
    """Examples for a frozen encoder, whose features are known; `rows` are the examples' rows in `mentions`.

    They have the pictures that the features have, which are those that linking compares.

    Args:
        numbers: Of the entities, one for those that are no negatives of each other.
        padded: Keep the padding, which counts in published mode.
    """

    mentions: Features
    rows: Sequence[int]
    entities: Features
    answers: Sequence[int]
    training: TrainingConfiguration
    negatives: Sampler
    numbers: np.ndarray
    padded: bool = False

    def batch(self, plan: BatchPlan, epoch: int, rows: np.ndarray) -> Batched:
        answer = torch.tensor([self.answers[int(row)] for row in rows])
        hidden = np.stack([self._hidden(plan, epoch, int(row)) for row in rows])
        chosen = torch.tensor([self.rows[int(row)] for row in rows])
        mentions = _hide_features(self._read(self.mentions, chosen), hidden[:, 0])
        entities = _hide_features(self._read(self.entities, answer), hidden[:, 1])
        drawn = torch.from_numpy(self.negatives.draw(plan.seed, epoch, rows))
        if drawn.numel():
            entities = concatenate([entities, self._read(self.entities, drawn.flatten())])
        entity_rows = torch.from_numpy(self.numbers)[torch.cat([answer, drawn.flatten()])]
        return Batched(EncodedItems(mentions), EncodedItems(entities), entity_rows, torch.from_numpy(rows), drawn)

    def _read(self, features: Features, rows: Tensor) -> Features:
        chosen = features[rows]
        return (chosen if self.padded else chosen.trimmed()).to(torch.float32)

    def _hidden(self, plan: BatchPlan, epoch: int, row: int) -> np.ndarray:
        return plan.hidden(epoch, row, self.training.drop_text, self.training.drop_image)


def _hide(item: Item, text: bool, image: bool, sees: bool) -> Item:
    """The item without its text (and surfaces), or else without its pictures; never without both.

    An encoder that `sees` no pictures needs every text.
    """
    if text and sees and item.image is not None:
        return replace(item, text="", surfaces=())
    return replace(item, image=None, further=()) if image and item.text else item


def _hide_features(features: Features, hidden: np.ndarray) -> Features:
    """`_hide` for features [n]; `hidden` [n, 2]."""
    text = torch.from_numpy(hidden[:, 0]) & features.has_image
    image = torch.from_numpy(hidden[:, 1]) & ~text & features.has_text
    return features.without(text=text, image=image)
