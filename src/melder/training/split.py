"""Which mentions of a data set are trained on, and which are selected on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from melder.data import DataSet, load, tune_split
from melder.records import MelderError, Mention
from melder.training.configuration import Configuration

__all__ = ["Split", "open_data", "split_data"]


@dataclass
class Split:
    """Which mentions are trained on and selected on, NIL ones left out.

    Args:
        train: To train on.
        selection: To select on.
        source: What these are of: train or dev.
    """

    train: list[Mention]
    selection: list[Mention]
    source: str


def open_data(configuration: Configuration) -> DataSet:
    """The data set that the configuration names.

    Args:
        configuration: Of the training.

    Returns:
        The data set.

    Raises:
        MelderError: It cannot be read.
    """
    data = configuration.data
    return load(data.directory, data.layout, data.text_field, data.skip_bad)


def split_data(configuration: Configuration, dataset: DataSet) -> Split:
    """`select_on: tune` holds out a seeded tenth of train; `dev` selects on the development set, as published.

    Of train there is the first share only that `data.fraction` says, in file order: the low-resource setting of
    MIMIC (its issue 2).

    Args:
        configuration: Of the training.
        dataset: Of the mentions.

    Returns:
        Both.

    Raises:
        MelderError: There is no such split, or no mention with an answer.
    """
    mentions = dataset.split("train")
    share = max(1, round(configuration.data.fraction * len(mentions)))
    train = _answered(dataset, "train", mentions[:share])
    if configuration.training.select_on == "tune":
        rest, tune = tune_split(train, configuration.training.seed, by_entity=configuration.training.select_entities)
        return Split(list(rest), list(tune), "train")
    return Split(train, _answered(dataset, "dev", dataset.split("dev")), "dev")


def _answered(dataset: DataSet, split: str, mentions: Sequence[Mention]) -> list[Mention]:
    answered = [mention for mention in mentions if mention.answer is not None]
    if not answered:
        raise MelderError(f"{dataset.directory}, split {split!r}: no mention has an answer; training needs some")
    return answered
