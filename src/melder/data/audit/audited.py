"""What the checks read: a data set, all of it at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from melder.data.audit.contents import Contents
from melder.data.audit.findings import ENTITIES
from melder.data.dataset import DataSet
from melder.protocols import Counting
from melder.records import BadRecord, Entity, Mention

__all__ = ["Audited", "gather"]


@dataclass(frozen=True)
class Audited:
    """A data set, read: what checks look at.

    Args:
        dataset: Opened.
        entities: All of them.
        splits: In the order train, dev, test.
        contents: Of their pictures.
        skipped: Of each split, what reading left out.
    """

    dataset: DataSet
    entities: list[Entity]
    splits: Mapping[str, list[Mention]]
    contents: Contents
    skipped: Mapping[str, list[BadRecord]]  # of each split, what reading left out

    @cached_property
    def known(self) -> dict[str, Entity]:
        return {entity.id: entity for entity in self.entities}

    @property
    def sizes(self) -> dict[str, int]:
        """Rows by split, and entities."""
        return {**self.split_sizes, ENTITIES: len(self.entities)}

    @property
    def split_sizes(self) -> dict[str, int]:
        return {split: len(mentions) for split, mentions in self.splits.items()}

    def gold(self, mention: Mention) -> Entity | None:
        """The entity that answers a mention; None for NIL."""
        return None if mention.answer is None else self.known[mention.answer]

    def picture(self, mention: Mention) -> Path | None:
        """Where the first picture of a mention should be."""
        return next(iter(self.mention_pictures(mention)), None)

    def mention_pictures(self, mention: Mention) -> list[Path]:
        """Where the pictures of a mention should be."""
        return [self.dataset.mention_image(name) for name in mention.images]

    def pictures(self, entity: Entity) -> dict[str, Path]:
        """Where the pictures of an entity should be, by the names that it gives them."""
        return {name: self.dataset.entity_image(name) for name in entity.images}

    def where(self, wanted: Callable[[Mention], bool]) -> dict[str, list[str]]:
        """Ids of the mentions that are `wanted`, by split."""
        return {split: [m.id for m in mentions if wanted(m)] for split, mentions in self.splits.items()}

    def first(self, wanted: Callable[[Mention], bool]) -> Mention | None:
        """The first mention that is `wanted`, as an example."""
        return next((m for mentions in self.splits.values() for m in mentions if wanted(m)), None)

    def but(self, entities: list[Entity], splits: Mapping[str, list[Mention]]) -> Audited:
        """The same with other rows, whose pictures must be among those already read."""
        return replace(self, entities=entities, splits=splits)


def gather(dataset: DataSet, counting: Counting | None = None) -> Audited:
    """Read every split and every picture of a data set.

    A picture that is absent or cannot be read is a finding, not an error. Records that were left out are known of the
    splits that are read here for the first time.

    Args:
        dataset: Opened.
        counting: Starts a progress bar with a title and a total.

    Returns:
        What checks look at.

    Raises:
        BadData: As `DataSet.split` does.
    """
    splits, skipped = {}, {}
    for name in dataset.splits:
        before = len(dataset.skipped)
        splits[name] = dataset.split(name)
        skipped[name] = dataset.skipped[before:]
    paths = [dataset.entity_image(name) for entity in dataset.entities for name in entity.images]
    paths += [dataset.mention_image(name) for mentions in splits.values() for m in mentions for name in m.images]
    return Audited(dataset, dataset.entities, splits, Contents.read(paths, counting), skipped)
