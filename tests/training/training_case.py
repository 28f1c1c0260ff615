"""What every training promises (`melder.training.trainings.PreparedTraining`), as one test case for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from melder.data import DataSet
from melder.records import Item
from melder.training.configuration import Configuration
from melder.training.order import BatchPlan
from melder.training.split import open_data
from melder.training.trainings import PreparedTraining, training_of
from training.small import small_data

ROWS = np.array([4, 0, 9])
PLAN = BatchPlan(mentions=40, batch_size=10, seed=3)
STEPS = 12


def same(one: Any, other: Any) -> bool:
    """Whether two batches, or parts of them, are equal bit for bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor | np.ndarray):
        return one.shape == other.shape and bool((torch.as_tensor(one) == torch.as_tensor(other)).all())
    if is_dataclass(one):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, Sequence) and not isinstance(one, str):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)


class Bars:
    """The titles of the progress bars that were started."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    def __call__(self, title: str, total: int) -> Callable[[int], None]:
        self.titles.append(title)
        return lambda done: None


class TrainingCase(ABC):
    """Tests of a training; a subclass says which one, and with what configuration it is prepared.

    Attributes:
        training: The name that it is registered under; "matching" of methods that compare features.
    """

    training: ClassVar[str]

    @classmethod
    @abstractmethod
    def content(cls, data: Path) -> dict[str, Any]:
        """The configuration, on the small data set."""

    @pytest.fixture(scope="class")
    @classmethod
    def configuration(cls) -> Configuration:
        return Configuration(**cls.content(small_data()))

    @pytest.fixture(scope="class")
    @classmethod
    def opened(cls, configuration: Configuration) -> DataSet:
        return open_data(configuration)

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp("run")

    @pytest.fixture(scope="class")
    @classmethod
    def prepared(cls, configuration: Configuration, opened: DataSet, folder: Path) -> PreparedTraining:
        return training_of(configuration.method)(configuration, opened, folder / "features", Bars())

    def test_mentions_without_an_answer_are_left_out_and_none_is_in_both_sets(self, prepared: PreparedTraining) -> None:
        chosen, selection = prepared.split.train, prepared.split.selection
        assert chosen
        assert selection
        assert all(mention.answer is not None for mention in [*chosen, *selection])
        assert not {mention.id for mention in chosen} & {mention.id for mention in selection}

    def test_a_batch_is_a_function_of_the_seed_the_epoch_and_the_rows(self, prepared: PreparedTraining) -> None:
        batch = prepared.examples.batch(PLAN, 1, ROWS)
        prepared.examples.batch(PLAN, 2, ROWS[:2])
        assert same(batch, prepared.examples.batch(PLAN, 1, ROWS))
        assert not same(batch, prepared.examples.batch(PLAN, 1, ROWS[::-1].copy()))

    def test_ranks_are_those_of_the_mentions_in_their_order(self, prepared: PreparedTraining, opened: DataSet) -> None:
        mentions = prepared.split.selection
        ranks, back = prepared.rank(mentions), prepared.rank(mentions[::-1])
        assert len(ranks.optimistic) == len(mentions)
        assert (ranks.optimistic >= 1).all()
        assert (ranks.optimistic <= ranks.pessimistic).all()
        assert (ranks.pessimistic <= len(opened.entities)).all()
        # Batches of other lengths may round otherwise, and a tie go the other way.
        assert np.abs(ranks.optimistic[::-1] - back.optimistic).max() <= 1

    def test_the_module_learns_what_is_not_frozen_and_nothing_else(
        self, prepared: PreparedTraining, configuration: Configuration
    ) -> None:
        module = prepared.module(configuration, STEPS)
        assert isinstance(module.clips_gradients, bool)
        optimizer: Any = module.configure_optimizers()["optimizer"]  # type: ignore[index, call-overload]
        learned = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        assert learned
        assert learned == {id(parameter) for parameter in module.parameters() if parameter.requires_grad}
        encoder = prepared.model.encoder.parameters()
        assert any(id(parameter) in learned for parameter in encoder) == configuration.encoder.trained

    def test_prepared_again_it_is_the_same_and_nothing_is_encoded_twice(
        self, prepared: PreparedTraining, configuration: Configuration, opened: DataSet, folder: Path
    ) -> None:
        bars, unreadable = Bars(), list[Item]()

        def note(item: Item, error: Exception) -> None:
            unreadable.append(item)

        again = training_of(configuration.method)(configuration, opened, folder / "features", bars, note)
        assert bars.titles == []
        assert same(dict(prepared.model.weights()), dict(again.model.weights()))
        assert again.model.encoder.on_unreadable is note
        assert unreadable == []
