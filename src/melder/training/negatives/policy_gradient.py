"""Negatives that a generator picks, which learns from how the matcher scores them: PGMEL's idea, for any method.

Both players move in the same training step: the generator draws negatives for each mention, the matcher learns from
its own losses with them, and the scores of that same pass, without their gradients, reward the generator. Nothing else
goes between them: drawn negatives are numbers, and the generator reads features, not the matcher's weights.

Candidates are found by name and by vector every `refresh` steps, like those of `hard`, and so are the features that the
generator reads, which matters only for an encoder that is trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from melder.data import DataSet
from melder.features import Features, concatenate
from melder.methods.losses import Batch
from melder.records import Mention
from melder.runs.model import entity_side_of, mention_side_of
from melder.training.batched import Batched
from melder.training.negatives.candidates import Pool
from melder.training.negatives.configuration import GeneratorConfiguration, NegativesConfiguration
from melder.training.negatives.current import CurrentModel
from melder.training.negatives.generator import Generator, entropy, policy_loss, reward, warm_loss
from melder.training.negatives.policy_step import PolicyStep
from melder.training.order import draw

__all__ = ["PolicyGradient"]


@dataclass
class _Choices:
    """The candidates of m mentions: entity_rows [m, k], -1 = none, and what the generator makes of them."""

    entity_rows: Tensor
    logits: Tensor
    counts: Tensor  # [m], whether there is any candidate

    @property
    def log_p(self) -> Tensor:
        """[m, k]: -inf where there is no candidate; uniform over all for mentions without any, who do not count."""
        none = (self.entity_rows < 0) & self.counts[:, None]
        return self.logits.masked_fill(none, float("-inf")).log_softmax(dim=1)


class PolicyGradient:
    """Independent draws of a generator that learns, for each mention.

    Args:
        pool: Candidates of the examples.
        current: Features under the model as it is now.
        generator: Draws among them.
        count: Negatives of an example.
        refresh: Steps until candidates are looked for anew.
    """

    refreshes = True
    learns = True

    def __init__(self, pool: Pool, current: CurrentModel, generator: Generator, count: int, refresh: int) -> None:
        self.pool, self.current, self.generator = pool, current, generator
        self.count = count
        self.refresh: int | None = refresh
        self.entity_rows = np.full((len(pool.answers), 2 * pool.k), -1, dtype=np.int64)
        self.place = np.full(len(pool.answers), -1, dtype=np.int64)  # of an example in `mentions`
        self.mentions: Features | None = None
        self.entities: Features | None = None

    @classmethod
    def build(
        cls, options: NegativesConfiguration, dataset: DataSet, mentions: Sequence[Mention], current: CurrentModel
    ) -> PolicyGradient:
        pool = Pool.of(dataset, mentions, options.candidates, current.model.matcher)
        generator = Generator(current.model.encoder.sizes, options.generator).to(current.model.device)
        return cls(pool, current, generator, options.count, options.refresh)

    @property
    def every(self) -> int:
        return self.options.every

    @property
    def options(self) -> GeneratorConfiguration:
        return self.generator.options

    def prepare(self, rows: np.ndarray) -> None:
        matcher, features = self.current.model.matcher, (list[Features](), list[Features]())
        mentions = mention_side_of(matcher, _kept(self.current.mentions(rows), features[0]))
        entities = entity_side_of(matcher, _kept(self.current.entities(), features[1]))
        self.mentions, self.entities = concatenate(features[0]), concatenate(features[1])
        self.entity_rows[rows] = self.pool.candidates(rows, matcher, mentions, entities)
        self.place[rows] = np.arange(len(rows))

    @torch.no_grad()
    def draw(self, seed: int, epoch: int, rows: np.ndarray) -> np.ndarray:
        """The answer, which is masked later, stands for the negative of a mention without candidates."""
        choices = self._choices(rows)
        if epoch < self.options.warm_epochs:
            choices = replace(choices, logits=torch.zeros_like(choices.logits))
        shape = self.count, choices.entity_rows.shape[1]
        noise = np.stack([draw("negative", seed, epoch, int(row)).gumbel(size=shape) for row in rows])
        chosen = (choices.log_p.cpu()[:, None, :] + torch.from_numpy(noise)).argmax(dim=2)
        entity_rows = choices.entity_rows.cpu().gather(1, chosen).numpy()
        return np.where(entity_rows < 0, self.pool.answers[rows][:, None], entity_rows)

    def play(self, batched: Batched, batch: Batch, scores: Tensor, epoch: int) -> PolicyStep:
        """What the generator learns from a batch whose negatives it drew; `scores` [m, e] are the matcher's totals."""
        rows, options = batched.rows.cpu().numpy(), self.options
        assert batch.sampled is not None
        choices = self._choices(rows)
        gold, negative = scores.gather(1, batch.gold[:, None])[:, 0], scores.gather(1, batch.sampled.clamp(min=0))
        rewards = reward(options, negative, gold)
        advantage = self.generator.advantage(rewards, choices.counts)
        log_p = choices.log_p
        drawn = batched.drawn.to(choices.entity_rows.device, non_blocking=True)
        chosen = (choices.entity_rows[:, None, :] == drawn[:, :, None]).long().argmax(dim=2)
        spread = entropy(log_p, choices.counts)
        if epoch < options.warm_epochs:
            loss = self._warm_loss(rows, choices)
        else:
            loss = policy_loss(log_p, chosen, advantage, choices.counts) - options.entropy * spread
        figures = {
            "entropy": spread.detach(),
            "rank": _mean(_ranks(log_p.detach(), chosen), choices.counts),
            "reward": _mean(rewards, choices.counts),
            "baseline": self.generator.baseline.clone(),
            "active_hinges": _mean((options.margin + negative > gold[:, None]).float(), choices.counts),
        }
        return PolicyStep(loss, figures)

    def _choices(self, rows: np.ndarray) -> _Choices:
        """Each entity goes through the generator once, however many mentions it is a candidate of."""
        entity_rows = self.entity_rows[rows]
        unique, place = np.unique(np.maximum(entity_rows, 0), return_inverse=True)
        vectors = self._vectors(self.entities, unique)[torch.from_numpy(place.reshape(entity_rows.shape))]
        queries = self._vectors(self.mentions, self.place[rows])
        if self.options.sees_gold:
            queries = queries + self._vectors(self.entities, self.pool.answers[rows])
        chosen = torch.from_numpy(entity_rows).to(vectors.device)
        return _Choices(chosen, self.generator.logits(queries, vectors), (chosen >= 0).any(dim=1))

    def _warm_loss(self, rows: np.ndarray, choices: _Choices) -> Tensor:
        gold = self._vectors(self.entities, self.pool.answers[rows])
        queries = self._vectors(self.mentions, self.place[rows])
        logits = choices.logits.masked_fill(choices.entity_rows < 0, float("-inf"))
        return warm_loss(self.generator.logits(queries, gold[:, None])[:, 0], logits, choices.counts)

    def _vectors(self, features: Features | None, rows: np.ndarray) -> Tensor:
        assert features is not None, "prepare comes first"
        device = self.generator.baseline.device
        vectors: Tensor = self.generator(features[torch.from_numpy(rows)].to(device))
        return vectors


def _ranks(log_p: Tensor, chosen: Tensor) -> Tensor:
    """[m, n]: 1 for the candidate that is most probable."""
    return 1.0 + (log_p[:, None, :] > log_p.gather(1, chosen)[:, :, None]).sum(dim=2)


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """The mean of [m, n] over the mentions that count."""
    return (values * counts[:, None]).sum() / (counts.sum() * values.shape[1]).clamp(min=1)


def _kept(chunks: Iterator[Features], kept: list[Features]) -> Iterator[Features]:
    """The chunks as they pass; their global vectors are kept."""
    for chunk in chunks:
        kept.append(_thin(chunk))
        yield chunk


def _thin(features: Features) -> Features:
    """Without tokens and names."""
    none = features.text_tokens.new_zeros(len(features), 1, 0)
    mask = features.has_text[:, None]
    return replace(features, text_tokens=none, text_mask=mask, image_tokens=None, surfaces=None)
