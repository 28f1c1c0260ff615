"""Sampled negatives: entities that join those of the batch as further columns, shared by all its mentions.

In-batch negatives are other mentions' answers: mostly entities with quite another name, which names alone rule out. A
matcher learns to tell namesakes apart only where it meets them. Which negatives an example draws is a function of
(seed, epoch, example), for some of the model as well, so that resuming needs no stored state.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from melder.data import DataSet
from melder.protocols import Sampler
from melder.records import Mention
from melder.search.candidates import lexical_candidates
from melder.training.negatives.candidates import folds_names
from melder.training.negatives.configuration import NegativesConfiguration
from melder.training.negatives.current import CurrentModel
from melder.training.negatives.samplers import SAMPLERS
from melder.training.order import draw

__all__ = ["InBatch", "LexicalSampler", "Uniform", "build_sampler"]


class ModelFree:
    """What samplers have in common whose draws do not depend on the model."""

    refreshes = False
    learns = False
    refresh: int | None = None

    def prepare(self, rows: np.ndarray) -> None:
        """There is nothing to prepare."""


class InBatch(ModelFree):
    """No further negatives: the published recipe."""

    @classmethod
    def build(
        cls, options: NegativesConfiguration, dataset: DataSet, mentions: Sequence[Mention], current: CurrentModel
    ) -> InBatch:
        return cls()

    def draw(self, seed: int, epoch: int, rows: np.ndarray) -> np.ndarray:
        return np.empty((len(rows), 0), dtype=np.int64)


class Uniform(ModelFree):
    """Any entities.

    Args:
        entities: How many there are.
        count: Negatives of an example.
    """

    def __init__(self, entities: int, count: int) -> None:
        self.entities, self.count = entities, min(count, entities)

    @classmethod
    def build(
        cls, options: NegativesConfiguration, dataset: DataSet, mentions: Sequence[Mention], current: CurrentModel
    ) -> Uniform:
        return cls(len(dataset.entities), options.count)

    def draw(self, seed: int, epoch: int, rows: np.ndarray) -> np.ndarray:
        choose = [draw("negative", seed, epoch, int(row)) for row in rows]
        return np.stack([generator.choice(self.entities, self.count, replace=False) for generator in choose])


class LexicalSampler(ModelFree):
    """The entities whose names look most like an example's surface.

    Args:
        candidates: [examples, k], rows, the likest first.
        count: Negatives of an example.
    """

    def __init__(self, candidates: np.ndarray, count: int) -> None:
        self.candidates, self.count = candidates, min(count, candidates.shape[1])

    @classmethod
    def build(
        cls, options: NegativesConfiguration, dataset: DataSet, mentions: Sequence[Mention], current: CurrentModel
    ) -> LexicalSampler:
        """The answer itself is left out of the candidates, since it mostly has the best name of all."""
        answer = {entity.id: column for column, entity in enumerate(dataset.entities)}
        surfaces = [mention.surface for mention in mentions]
        nearest = lexical_candidates(
            surfaces, dataset.entities, options.candidates + 1, fold=folds_names(current.model.matcher)
        )
        own = nearest == np.array([answer[str(mention.answer)] for mention in mentions])[:, None]
        last = np.argsort(own, axis=1, kind="stable")  # the own one, if it is there, comes last and is cut off
        return cls(np.take_along_axis(nearest, last, axis=1)[:, : options.candidates], options.count)

    def draw(self, seed: int, epoch: int, rows: np.ndarray) -> np.ndarray:
        drawn = Uniform(self.candidates.shape[1], self.count).draw(seed, epoch, rows)
        return np.take_along_axis(self.candidates[rows], drawn, axis=1)


def build_sampler(
    options: NegativesConfiguration, dataset: DataSet, mentions: Sequence[Mention], current: CurrentModel, seed: int = 0
) -> Sampler:
    """The sampler that a configuration names.

    Args:
        options: Which, and its settings.
        dataset: Of the entities.
        mentions: The examples, which all have an answer.
        current: Features under the model as it is now.
        seed: Of a generator's first weights.

    Returns:
        The sampler.

    Raises:
        MelderError: There is none of this name.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SAMPLERS.get(options.sampler).build(options, dataset, mentions, current)
