"""A data set encoded once with a frozen encoder, for every training on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from melder.data import DataSet
from melder.encoders import Towers
from melder.protocols import Counting
from melder.runs.feature_cache import ENTITIES, encode_data
from melder.training.configuration import Configuration
from melder.training.from_entities import data_to_train_on
from melder.training.prepare import OnUnreadable, build_model
from melder.training.split import split_data

__all__ = ["EncodedData", "encode_dataset"]


@dataclass(frozen=True)
class EncodedData:
    """What was encoded.

    Args:
        dataset: With entities and splits.
        encoder: Which knows how fast that was.
    """

    dataset: DataSet
    encoder: Towers


def encode_dataset(
    configuration: Configuration, out: Path, *, counting: Counting, on_unreadable: OnUnreadable = None
) -> EncodedData:
    """Encode entities and every split of a configuration's data set into `out`; what is there already is kept.

    Args:
        configuration: Data, encoder and seed.
        out: The directory of stored features.
        counting: Starts a progress bar with a title and a total.
        on_unreadable: Told of pictures that cannot be read, which then count as missing; None = they are an error.

    Returns:
        The data set and the encoder.

    Raises:
        MelderError: Data or encoder cannot be read.
    """
    dataset = data_to_train_on(configuration, out, counting)
    train = split_data(configuration, dataset).train if dataset.splits else []
    encoder = build_model(configuration, dataset, train).encoder
    encoder.on_unreadable = on_unreadable
    for part in (ENTITIES, *dataset.splits):
        encode_data(configuration, configuration.training.seed, dataset, encoder, part, out, counting)
    return EncodedData(dataset, encoder)
