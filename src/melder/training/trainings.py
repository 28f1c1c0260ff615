"""How a method is trained, by its name: what is prepared, and the Lightning module that learns from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import lightning
from pydantic import BaseModel

from melder.data import DataSet
from melder.protocols import Counting, Sampler
from melder.registry import Entry, Registry
from melder.runs.directory import StoredModel
from melder.training.configuration import Configuration
from melder.training.prepare import OnUnreadable, Rank
from melder.training.split import Split

__all__ = ["TRAININGS", "PreparedTraining", "Preparing", "training_of"]


class PreparedTraining(Protocol):
    """What training needs of any method.

    Attributes:
        examples: Make batches (`melder.training.examples.Examples`), which the module knows.
        negatives: The sampler that they draw with; None where there is none.
        rank: Ranks mentions of the selection set with the model as it is then.
    """

    split: Split
    rank: Rank

    @property
    def model(self) -> StoredModel: ...

    @property
    def examples(self) -> Any: ...

    @property
    def negatives(self) -> Sampler | None: ...

    def module(self, configuration: Configuration, steps: int) -> lightning.LightningModule:
        """What learns for `steps` optimizer steps; its `clips_gradients` says whether it clips gradients itself."""
        ...


class Preparing(Protocol):
    """Makes a model and its examples of a data set; what can be used again goes into the directory `cache`."""

    def __call__(
        self,
        configuration: Configuration,
        dataset: DataSet,
        cache: Path,
        counting: Counting,
        on_unreadable: OnUnreadable = None,
    ) -> PreparedTraining: ...


# Of methods that do not compare features; all others are trained by `melder.training.prepare`.
TRAININGS = Registry[Preparing](
    "training",
    "melder.trainings",
    (
        Entry(
            "gemel",
            "melder.training.generative.training:prepare_generative",
            "the mapper before a frozen language model",
        ),
    ),
)
_MATCHING = Entry("matching", "melder.training.prepare:prepare")


def training_of(method: BaseModel) -> Preparing:
    """How a method with this configuration is prepared for training.

    Args:
        method: Its configuration.

    Returns:
        Makes what the training loop needs.
    """
    name = str(method.name)  # type: ignore[attr-defined]
    return TRAININGS.get(name) if name in TRAININGS else TRAININGS.load(_MATCHING)
