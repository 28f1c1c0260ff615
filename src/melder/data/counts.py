"""Counts what is in a data set: what to compare with the published sizes before anything is trained."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from melder.data.dataset import DataSet
from melder.names import folded
from melder.records import Entity, Mention

__all__ = ["Counts", "EntityCounts", "SplitCounts", "count"]


class _Counts(BaseModel):
    model_config = ConfigDict(frozen=True)


class EntityCounts(_Counts):
    """Of the knowledge base."""

    entities: int
    texts: int  # entities with a description
    pictured: int  # entities with at least one picture
    pictures: int  # different files that they name
    missing_pictures: int  # of these, files that are not there
    homonyms: int  # entities whose name another entity has too


class SplitCounts(_Counts):
    """Of a split."""

    mentions: int
    texts: int  # different ones
    answers: int  # different entities
    nil: int
    pictured: int  # mentions with a picture
    pictures: int  # different files that they name
    missing_pictures: int  # of these, files that are not there
    absent_spans: int  # mentions whose surface does not occur in their text
    surface_is_name: int  # mentions whose surface is the name of their answer
    surface_is_homonym: int  # mentions whose surface is the name of several entities


class Counts(_Counts):
    """Of a data set; names are compared without regard to case, as in the slices of an evaluation."""

    directory: str
    layout: str
    entities: EntityCounts
    splits: dict[str, SplitCounts]
    notes: tuple[str, ...]
    skipped: int  # records left out because they are malformed


def count(dataset: DataSet) -> Counts:
    """Read every split and look for every picture's file.

    Args:
        dataset: Opened.

    Returns:
        How many there are of what.

    Raises:
        BadData: As `DataSet.split` does.
    """
    names = Counter(folded(entity.name) for entity in dataset.entities if entity.name.strip())
    known = {entity.id: entity for entity in dataset.entities}
    splits = {split: _split(dataset, dataset.split(split), known, names) for split in dataset.splits}
    return Counts(
        directory=str(dataset.directory),
        layout=dataset.layout.name,
        entities=_entities(dataset, names),
        splits=splits,
        notes=dataset.notes,
        skipped=len(dataset.skipped),
    )


def _entities(dataset: DataSet, names: Counter[str]) -> EntityCounts:
    entities = dataset.entities
    pictures = {image for entity in entities for image in entity.images}
    return EntityCounts(
        entities=len(entities),
        texts=sum(bool(entity.description.strip()) for entity in entities),
        pictured=sum(bool(entity.images) for entity in entities),
        pictures=len(pictures),
        missing_pictures=_missing(pictures, dataset.entity_image),
        homonyms=sum(names[folded(entity.name)] > 1 for entity in entities),
    )


def _split(dataset: DataSet, mentions: Sequence[Mention], known: dict[str, Entity], names: Counter[str]) -> SplitCounts:
    pictures = {image for mention in mentions for image in mention.images}
    answered = [(mention, known[mention.answer]) for mention in mentions if mention.answer is not None]
    return SplitCounts(
        mentions=len(mentions),
        texts=len({mention.text for mention in mentions}),
        answers=len({mention.answer for mention, _ in answered}),
        nil=len(mentions) - len(answered),
        pictured=sum(mention.image is not None for mention in mentions),
        pictures=len(pictures),
        missing_pictures=_missing(pictures, dataset.mention_image),
        absent_spans=sum(mention.start is None for mention in mentions),
        surface_is_name=sum(_named(mention, gold) for mention, gold in answered),
        surface_is_homonym=sum(names[folded(mention.surface)] > 1 for mention in mentions),
    )


def _named(mention: Mention, gold: Entity) -> bool:
    return bool(mention.surface) and folded(mention.surface) == folded(gold.name)


def _missing(pictures: Collection[str], locate: Callable[[str], Path]) -> int:
    # os.path.isfile, unlike Path.is_file, says no to a name that is longer than the system allows
    return sum(not os.path.isfile(locate(picture)) for picture in pictures)
