"""Features of a frozen encoder: encoded once by `melder features`, kept on disk, read by trainings and evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from melder.data import DataSet, entity_items, mention_items
from melder.encoders import Towers, encode, fingerprint, from_scratch, load_features, save_features
from melder.features import Features
from melder.protocols import Counting
from melder.records import Item, MelderError, Picture
from melder.runs.model_configuration import ModelConfiguration

__all__ = ["ENTITIES", "StoredFeatures", "encode_data", "stored_features"]

ENTITIES = "entities"  # the part that holds them; the others are splits


_Key = tuple[str, tuple[Picture, ...], tuple[int, int] | None]


def _key(item: Item) -> _Key:
    return item.text, item.images, item.span


class StoredFeatures:
    """Features by what was encoded: a text, where the mention stands in it, and pictures.

    Args:
        padded: Keep the padding, which counts in published mode.
    """

    def __init__(self, padded: bool = False) -> None:
        self.padded = padded
        self._parts: list[Features] = []
        self._place: dict[_Key, tuple[int, int]] = {}

    def add(self, items: Sequence[Item], features: Features) -> None:
        """Take in the features of `items`, in their order."""
        number = len(self._parts)
        self._parts.append(features)
        self._place.update({_key(item): (number, row) for row, item in enumerate(items)})

    def of(self, items: Sequence[Item]) -> Features | None:
        """Features of the items in float32, with their surfaces; None unless one part holds all of them."""
        places = [self._place.get(_key(item)) for item in items]
        stored = [place for place in places if place is not None]
        if len(stored) < len(places) or len({number for number, _ in stored}) != 1:
            return None
        features = self._parts[stored[0][0]][torch.tensor([row for _, row in stored])]
        features.surfaces = [item.surfaces for item in items]
        return (features if self.padded else features.trimmed()).to(torch.float32)


def stored_features(
    configuration: ModelConfiguration, seed: int | None, dataset: DataSet, encoder: Towers, part: str, where: Path
) -> tuple[list[Item], Features]:
    """The items of a part of a data set, and their memory-mapped features with their surfaces.

    Args:
        configuration: What was encoded, and how.
        seed: Of the training, on which an encoder that starts from nothing depends.
        dataset: Of the items.
        encoder: By which they were encoded.
        part: entities, train, dev or test.
        where: The directory of stored features.

    Returns:
        In the order of the data set.

    Raises:
        MelderError: `where` holds none, or others.
    """
    items, ids = _part(configuration, dataset, encoder, part)
    mark = _fingerprint(configuration, seed, encoder, items)
    if not (where / part / "features.json").is_file():
        raise MelderError(f"{where}: holds no features of {part!r}; run `melder features` for this configuration")
    surfaces = [item.surfaces for item in items]
    return items, load_features(where / part, ids=ids, fingerprint=mark, surfaces=surfaces)


def encode_data(
    configuration: ModelConfiguration,
    seed: int | None,
    dataset: DataSet,
    encoder: Towers,
    part: str,
    where: Path,
    counting: Counting,
) -> None:
    """Encode a part of a data set into a directory, unless exactly that is already there.

    Args:
        configuration: What is encoded, and how.
        seed: Of the training, as for `stored_features`.
        dataset: Of the items.
        encoder: In any mode.
        part: entities, train, dev or test.
        where: The directory of stored features, made where it is missing.
        counting: Starts a progress bar with a title and a total.
    """
    items, ids = _part(configuration, dataset, encoder, part)
    mark = _fingerprint(configuration, seed, encoder, items)
    try:
        load_features(where / part, ids=ids, fingerprint=mark)
    except MelderError:
        progress = counting(f"encoding {part}", len(items))
        device = next(iter(encoder.parameters())).device
        precision = configuration.encoder.precision
        features = encode(encoder, items, device=device, precision=precision, progress=progress)
        save_features(features, where / part, ids=ids, fingerprint=mark)


def _fingerprint(configuration: ModelConfiguration, seed: int | None, encoder: Towers, items: Sequence[Item]) -> str:
    around = encoder.context == "window"
    return fingerprint(items, _identity(configuration, seed, encoder), spans=around)


def _identity(configuration: ModelConfiguration, seed: int | None, encoder: Towers) -> str:
    """Whatever changes features besides the items: the encoder, published padding, a new encoder's seed.

    Settings that came later count where they are not as it was before: features that were stored then are still good.
    """
    mattering = seed if from_scratch(configuration.encoder.name) else None
    later = (encoder.context, configuration.encoder.width)
    settings = (configuration.encoder, configuration.published, mattering)
    return repr(settings if later == ("beginning", None) else (*settings, *later))


def _part(
    configuration: ModelConfiguration, dataset: DataSet, encoder: Towers, part: str
) -> tuple[list[Item], list[str]]:
    modalities, pictures = frozenset(configuration.data.modalities), configuration.pictures
    if part == ENTITIES:
        items = entity_items(dataset.entities, dataset, encoder.separator, modalities, pictures=pictures)
        return items, [entity.id for entity in dataset.entities]
    mentions = dataset.split(part)
    items = mention_items(mentions, dataset, encoder.separator, modalities, pictures)
    return items, [mention.id for mention in mentions]
