"""Samplers of negatives by name, and what training asks of the one it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from torch import Tensor, nn

from melder.data import DataSet
from melder.methods.losses import Batch
from melder.protocols import Sampler
from melder.records import Mention
from melder.registry import Entry, Registry
from melder.training.batched import Batched
from melder.training.negatives.current import CurrentModel
from melder.training.negatives.policy_step import PolicyStep

__all__ = ["SAMPLERS", "LearningSampler", "SamplerClass", "player_of"]


class SamplerClass(Protocol):
    """What is registered as a sampler: the class, which says how it draws and makes a sampler.

    Attributes:
        refreshes: Draws depend on the model, so that it prepares every `negatives.refresh` steps.
        learns: It makes a `LearningSampler`, which draws in the training process alone.
    """

    @property
    def refreshes(self) -> bool: ...

    @property
    def learns(self) -> bool: ...

    def build(self, options: Any, dataset: DataSet, mentions: Sequence[Mention], current: CurrentModel) -> Sampler:
        """For the examples `mentions`, which all have an answer; `options` are a `NegativesConfiguration`."""
        ...


class LearningSampler(Sampler, Protocol):
    """A sampler that learns from how the matcher scores what it drew.

    Attributes:
        generator: Its weights, which are part of checkpoints and not of the run.
    """

    generator: nn.Module

    @property
    def every(self) -> int:
        """It learns at every so many steps."""
        ...

    def play(self, batched: Batched, batch: Batch, scores: Tensor, epoch: int) -> PolicyStep:
        """What it learns from a batch whose negatives it drew; `scores` [m, e] are the matcher's totals."""
        ...


SAMPLERS = Registry[SamplerClass](
    "sampler",
    "melder.samplers",
    (
        Entry("in_batch", "melder.training.negatives.model_free:InBatch", "no more than the batch's other answers"),
        Entry("uniform", "melder.training.negatives.model_free:Uniform", "any entity"),
        Entry("lexical", "melder.training.negatives.model_free:LexicalSampler", "names that look like the surface"),
        Entry("pool", "melder.training.negatives.uniform_pool:UniformPool", "any of the candidates of the next two"),
        Entry("hard", "melder.training.negatives.hard:Hard", "what the model scores highest"),
        Entry(
            "policy_gradient",
            "melder.training.negatives.policy_gradient:PolicyGradient",
            "what a learning generator picks",
        ),
    ),
)


def player_of(sampler: Sampler) -> LearningSampler | None:
    """The sampler, if it learns.

    Args:
        sampler: Any.

    Returns:
        None where it does not.
    """
    return cast(LearningSampler, sampler) if sampler.learns else None
