"""Sampled negatives: entities that join those of the batch as further columns, shared by all its mentions.

In-batch negatives are other mentions' answers: mostly entities with quite another name, which names alone rule out. A
matcher learns to tell namesakes apart only where it meets them. Which negatives an example draws is a function of
(seed, epoch, example), for some of the model as well (`Refreshed`), so that resuming needs no stored state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from melder.data import DataSet
from melder.records import Mention
from melder.search.candidates import lexical_candidates
from melder.training.current import CurrentModel
from melder.training.generator import Generator
from melder.training.hard import Hard
from melder.training.negatives_configuration import NegativesConfiguration
from melder.training.order import draw
from melder.training.policy_gradient import PolicyGradient
from melder.training.pool import Pool

__all__ = ["SAMPLERS", "InBatch", "LexicalSampler", "Refreshed", "Sampler", "Uniform", "build_sampler", "same_entity"]


class Sampler(Protocol):
    """Draws negatives for examples of an epoch."""

    def draw(self, seed: int, epoch: int, rows: np.ndarray) -> np.ndarray:
        """[rows, count] columns of entities; one of an example's own may be among them, and is masked later."""
        ...


@runtime_checkable
class Refreshed(Protocol):
    """A sampler whose draws depend on the model.

    Every `refresh` steps, and at the start of an epoch, it prepares what it needs of the model as it is then.
    Checkpoints are made at such moments only, so that a training that goes on repeats the refresh instead of storing
    its outcome.
    """

    refresh: int

    def prepare(self, rows: np.ndarray) -> None:
        """Get ready to draw for the examples `rows`, those of the coming steps."""
        ...


class InBatch:
    """No further negatives: the published recipe."""

    def draw(self, seed: int, epoch: int, rows: np.ndarray) -> np.ndarray:
        return np.empty((len(rows), 0), dtype=np.int64)


class Uniform:
    """Any `count` of the `entities`."""

    def __init__(self, entities: int, count: int) -> None:
        self.entities, self.count = entities, min(count, entities)

    def draw(self, seed: int, epoch: int, rows: np.ndarray) -> np.ndarray:
        choose = [draw("negative", seed, epoch, int(row)) for row in rows]
        return np.stack([each.choice(self.entities, self.count, replace=False) for each in choose])


class LexicalSampler:
    """`count` of each example's candidates [examples, k]: the entities whose names look most like its surface."""

    def __init__(self, candidates: np.ndarray, count: int) -> None:
        self.candidates, self.count = candidates, min(count, candidates.shape[1])

    def draw(self, seed: int, epoch: int, rows: np.ndarray) -> np.ndarray:
        drawn = Uniform(self.candidates.shape[1], self.count).draw(seed, epoch, rows)
        return np.take_along_axis(self.candidates[rows], drawn, axis=1)


Builder = Callable[[NegativesConfiguration, DataSet, Sequence[Mention], CurrentModel], Sampler]


def _in_batch(
    options: NegativesConfiguration, dataset: DataSet, mentions: Sequence[Mention], current: CurrentModel
) -> Sampler:
    return InBatch()


def _uniform(
    options: NegativesConfiguration, dataset: DataSet, mentions: Sequence[Mention], current: CurrentModel
) -> Sampler:
    return Uniform(len(dataset.entities), options.count)


def _lexical(
    options: NegativesConfiguration, dataset: DataSet, mentions: Sequence[Mention], current: CurrentModel
) -> Sampler:
    """The answer itself is left out of the candidates, since it mostly has the best name of all."""
    answer = {entity.id: column for column, entity in enumerate(dataset.entities)}
    surfaces = [mention.surface for mention in mentions]
    found = lexical_candidates(surfaces, dataset.entities, options.candidates + 1)
    own = found == np.array([answer[str(mention.answer)] for mention in mentions])[:, None]
    last = np.argsort(own, axis=1, kind="stable")  # the own one, if it is there, comes last and is cut off
    return LexicalSampler(np.take_along_axis(found, last, axis=1)[:, : options.candidates], options.count)


def _hard(
    options: NegativesConfiguration, dataset: DataSet, mentions: Sequence[Mention], current: CurrentModel
) -> Sampler:
    pool = Pool(mentions, dataset.entities, same_entity(dataset), options.candidates)
    return Hard(pool, current, options.count, options.refresh)


def _policy_gradient(
    options: NegativesConfiguration, dataset: DataSet, mentions: Sequence[Mention], current: CurrentModel
) -> Sampler:
    pool = Pool(mentions, dataset.entities, same_entity(dataset), options.candidates)
    generator = Generator(current.model.encoder.sizes, options.generator).to(current.model.device)
    return PolicyGradient(pool, current, generator, options.count, options.refresh)


SAMPLERS: dict[str, Builder] = {
    "in_batch": _in_batch,
    "uniform": _uniform,
    "lexical": _lexical,
    "hard": _hard,
    "policy_gradient": _policy_gradient,
}


def build_sampler(
    options: NegativesConfiguration, dataset: DataSet, mentions: Sequence[Mention], current: CurrentModel, seed: int = 0
) -> Sampler:
    """The sampler that the configuration names, for the examples `mentions`, which all have an answer; `seed` is that
    of a generator's first weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SAMPLERS[options.sampler](options, dataset, mentions, current)


def same_entity(dataset: DataSet) -> np.ndarray:
    """[entities] numbers that entities with equal names and descriptions share: they are no negatives of each other."""
    number: dict[tuple[tuple[str, ...], str], int] = {}
    keys = [(tuple(sorted(entity.names)), entity.description) for entity in dataset.entities]
    return np.array([number.setdefault(key, len(number)) for key in keys], dtype=np.int64)
