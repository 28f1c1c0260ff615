"""Writes a data set in Melder's own layout, from whatever layout it was read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from melder.data.dataset import DataSet
from melder.io.atomic import writing
from melder.protocols import Counting
from melder.records import Entity, MelderError, Mention

__all__ = ["Written", "claim", "write_dataset", "write_lines"]


@dataclass(frozen=True)
class Written:
    """What was written of a data set.

    Args:
        records: By file ("entities", "train", …), how many.
        pictures: How many.
        missing: Pictures that were not there.
    """

    records: Mapping[str, int]
    pictures: int
    missing: tuple[Path, ...]


def write_dataset(
    dataset: DataSet,
    out: Path,
    *,
    entities: Sequence[Entity] | None = None,
    splits: Mapping[str, Sequence[Mention]] | None = None,
    copy: bool = False,
    counting: Counting | None = None,
) -> Written:
    """Write a data set to a new or empty directory.

    Pictures of a layout that keeps those of entities and of mentions apart go to `images/entities` and
    `images/mentions`, with their names. A picture whose file is not there stays named in its record. The directory has
    all that belongs in it, or nothing.

    Args:
        dataset: Opened.
        out: The directory.
        entities: In the place of its own.
        splits: In the place of its own.
        copy: Pictures are copied; otherwise they are hard-linked where that can be.
        counting: Starts a progress bar with a title and a total.

    Returns:
        How much there was.

    Raises:
        MelderError: `out` is in use or two files would have to have the same name.
    """
    claim(out)
    chosen = {name: dataset.split(name) for name in dataset.splits} if splits is None else splits
    pictures = _Pictures(dataset)
    rows = {split: [pictures.of_mention(mention) for mention in chosen[split]] for split in chosen}
    written = [pictures.of_entity(entity) for entity in (dataset.entities if entities is None else entities)]
    with writing(out, durable=False) as partial:
        missing = pictures.write(partial, copy, counting)
        for split, mentions in rows.items():
            write_lines(partial / f"{split}.jsonl", mentions)
        write_lines(partial / "entities.jsonl", written)
    counts = {"entities": len(written), **{split: len(mentions) for split, mentions in rows.items()}}
    return Written(counts, len(pictures.sources) - len(missing), missing)


def write_lines(path: Path, records: Iterable[BaseModel]) -> None:
    """Write one record a line, JSON, UTF-8.

    Args:
        path: Of the file.
        records: In their order.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{record.model_dump_json()}\n" for record in records)


class _Pictures:
    """The pictures that records name: where each comes from, and its name in what is written."""

    def __init__(self, dataset: DataSet) -> None:
        self.dataset = dataset
        self.apart = dataset.layout.entity_pictures != dataset.layout.mention_pictures
        self.sources: dict[str, Path] = {}  # the name in what is written → the file that there is

    def of_entity(self, entity: Entity) -> Entity:
        names = [self._name("images/entities", name, self.dataset.entity_image(name)) for name in entity.images]
        return entity.model_copy(update={"images": tuple(names)})

    def of_mention(self, mention: Mention) -> Mention:
        names = [self._name("images/mentions", name, self.dataset.mention_image(name)) for name in mention.images]
        return mention.with_images(names)

    def write(self, out: Path, copy: bool, counting: Counting | None) -> tuple[Path, ...]:
        """Link or copy every picture; the files that are not there are given back."""
        missing = []
        advance = counting("pictures", len(self.sources)) if counting else None
        for name, source in self.sources.items():
            if os.path.isfile(source):  # which says no to a name longer than the system allows, and does not raise
                _place(source, out / name, copy)
            else:
                missing.append(source)
            if advance:
                advance(1)
        return tuple(missing)

    def _name(self, folder: str, name: str, source: Path) -> str:
        written = f"{folder}/{name}" if self.apart else name
        self.sources[written] = source
        return written


def _place(source: Path, target: Path, copy: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        # Records are case-sensitive, some file systems are not: "A.jpg" and "a.jpg" would be one file there.
        raise MelderError(f"{target}: two pictures would have this name; rename one in the data set")
    if copy or not _linked(source, target):
        shutil.copyfile(source, target)


def _linked(source: Path, target: Path) -> bool:
    """Whether one file could be given a second name: not across file systems, nor on every one."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        return False
    return True


def claim(out: Path) -> None:
    """Make a new directory.

    Args:
        out: The directory.

    Raises:
        MelderError: There is anything in it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise MelderError(f"{out}: is there already and is not an empty directory; name a new one")
    out.mkdir(parents=True, exist_ok=True)
