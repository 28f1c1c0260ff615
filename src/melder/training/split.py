"""Which mentions of a data set are trained on, and which are selected on."""

from __future__ import annotations

from dataclasses import dataclass

from melder.data import DataSet, load, selection_split
from melder.records import Mention
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

    Args:
        configuration: Of the training.
        dataset: Of the mentions.

    Returns:
        Both.

    Raises:
        MelderError: There is no such split, or no mention with an answer.
    """
    training = configuration.training
    return Split(
        *selection_split(
            dataset,
            training.select_on,
            training.seed,
            fraction=configuration.data.fraction,
            by_entity=training.select_entities,
        )
    )
