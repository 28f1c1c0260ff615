"""Features of a frozen encoder: encoded once, kept on disk, read by trainings in minutes."""

from __future__ import annotations

from pathlib import Path

from melder.data import DataSet, entity_items, mention_items
from melder.encoders import Towers, encode, fingerprint, load_features, save_features
from melder.features import Features
from melder.protocols import Counting
from melder.records import Item, MelderError
from melder.training.configuration import Configuration

__all__ = ["encode_data", "stored_features"]


def stored_features(
    configuration: Configuration, dataset: DataSet, encoder: Towers, part: str, where: Path
) -> Features:
    """Memory-mapped features of `part` (entities, train, dev or test), with their surfaces."""
    items, ids = _part(configuration, dataset, encoder, part)
    mark = fingerprint(items, _identity(configuration))
    if not (where / part / "features.json").is_file():
        raise MelderError(f"{where}: holds no features of {part!r}; run `melder features` for this configuration")
    return load_features(where / part, ids=ids, fingerprint=mark, surfaces=[item.surfaces for item in items])


def encode_data(
    configuration: Configuration, dataset: DataSet, encoder: Towers, part: str, where: Path, counting: Counting
) -> None:
    """Encode `part` into the directory `where`, unless exactly that is already there."""
    items, ids = _part(configuration, dataset, encoder, part)
    mark = fingerprint(items, _identity(configuration))
    try:
        load_features(where / part, ids=ids, fingerprint=mark)
    except MelderError:
        progress = counting(f"encoding {part}", len(items))
        device = next(iter(encoder.parameters())).device
        precision = configuration.encoder.precision
        features = encode(encoder, items, device=device, precision=precision, progress=progress)
        save_features(features, where / part, ids=ids, fingerprint=mark)


def _identity(configuration: Configuration) -> str:
    """Whatever changes features besides the items: the encoder, published padding, a new encoder's seed."""
    seed = configuration.training.seed if "clip:compact" in configuration.encoder.name else None
    return repr((configuration.encoder, configuration.published, seed))


def _part(configuration: Configuration, dataset: DataSet, encoder: Towers, part: str) -> tuple[list[Item], list[str]]:
    modalities = frozenset(configuration.data.modalities)
    if part == "entities":
        items = entity_items(dataset.entities, dataset, encoder.separator, modalities)
        return items, [entity.id for entity in dataset.entities]
    mentions = dataset.split(part)
    return mention_items(mentions, dataset, encoder.separator, modalities), [mention.id for mention in mentions]
