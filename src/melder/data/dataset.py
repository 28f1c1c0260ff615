"""A data set on disk: its entities, its splits on demand, and where its pictures are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from melder.data.layouts import open_layout
from melder.io.problems import Fault, Problems
from melder.records import BadRecord, Entity, MelderError, Mention

if TYPE_CHECKING:  # it imports PyTorch, which a client of a service need not have
    from melder.protocols import Reader

__all__ = ["SPLITS", "DataSet", "entity_faults", "inside", "load"]

SPLITS = ("train", "dev", "test")
TEXTS = ("id", "name", "aliases", "description", "types")  # fields of an entity, but for the names of its pictures


@dataclass
class DataSet:
    """What `load` opened.

    Args:
        directory: Where it is.
        entities: Its knowledge base.
        layout: What reads its splits.
        skip_bad: Leave bad records out rather than raise.
        skipped: Each record that was left out so far, one entry a record.
    """

    has_sides: ClassVar[bool] = False  # entities are encoded when they are searched

    directory: Path
    entities: list[Entity]
    layout: Reader = field(repr=False)
    skip_bad: bool = False
    skipped: list[BadRecord] = field(default_factory=list)
    _splits: dict[str, list[Mention]] = field(default_factory=dict, repr=False)

    def split(self, name: str) -> list[Mention]:
        """The mentions of train, dev or test, in the file's order; read once, when first asked for.

        Raises:
            MelderError: There is no such split.
            BadData: It is empty or holds bad records (and nothing else, if these are to be skipped).
        """
        if name not in self._splits:
            self._splits[name] = self._read_split(name, self._split_file(name))
        return list(self._splits[name])

    def close(self) -> None:
        """Nothing of a data set stays open, unlike of a knowledge base."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits that there are files for."""
        return tuple(name for name in SPLITS if self.layout.split_file(name) is not None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of how the layout was read, one sentence a note."""
        return self.layout.notes

    def entity_image(self, path: str) -> Path:
        """Where a picture that an entity names is.

        Raises:
            MelderError: That is outside the data set.
        """
        return inside(self.layout.entity_pictures, path)

    def entity_picture(self, entity: Entity, number: int = 0) -> Path | None:
        """Where a picture of an entity is, by default its first; None when it has none."""
        return self.entity_image(entity.images[number]) if entity.images else None

    def mention_image(self, path: str) -> Path:
        """Where a mention's picture is.

        Raises:
            MelderError: That is outside the data set.
        """
        return inside(self.layout.mention_pictures, path)

    def _split_file(self, name: str) -> Path:
        path = self.layout.split_file(name) if name in SPLITS else None
        if path is not None:
            return path
        files = {split: self.layout.split_file(split) for split in SPLITS}
        present = ", ".join(f"{split} ({path.name})" for split, path in files.items() if path)
        raise MelderError(
            f"{self.directory}: has no split {name!r}; the splits there: {present or 'none, only entities'}"
        )

    def _read_split(self, name: str, path: Path) -> list[Mention]:
        problems, seen, kept = Problems(), dict[str, int](), list[Mention]()
        known = {entity.id for entity in self.entities}
        for number, mention in self.layout.mentions(name, path, problems):
            if faults := _mention_faults(mention, seen, known, self.layout):
                problems.add(path, number, faults)
            else:
                seen[mention.id] = number
                kept.append(mention)
        _settle(kept, problems, path, self.skip_bad)
        self.skipped.extend(problems.records)
        return kept


def load(directory: Path | str, layout: str = "auto", text_field: str = "desc", skip_bad: bool = False) -> DataSet:
    """Open a data set: read its knowledge base now, its splits on demand.

    Args:
        directory: Of the data set.
        layout: Of `melder list layouts`; auto = as its files say.
        text_field: The entity text that the layout "mimic" reads: attr or desc.
        skip_bad: Leave bad records out, and list them in `DataSet.skipped`.

    Returns:
        The data set.

    Raises:
        BadData: With all records of the knowledge base that are none.
        MelderError: There is no such directory, or its layout is not known.
    """
    opened = open_layout(Path(directory), layout, text_field)
    problems, seen, kept = Problems(), dict[str, int](), list[Entity]()
    if not opened.entity_file.is_file():
        raise MelderError(f"{opened.entity_file}: is missing; it holds the entities of this layout")
    for number, entity in opened.entities(problems):
        if faults := entity_faults(entity, seen, opened.field_names):
            problems.add(opened.entity_file, number, faults)
        else:
            seen[entity.id] = number
            kept.append(entity)
    _settle(kept, problems, opened.entity_file, skip_bad)
    return DataSet(Path(directory), kept, opened, skip_bad, list(problems.records))


def entity_faults(
    entity: Entity, seen: Mapping[str, int], names: Mapping[str, str], what: str = "record"
) -> list[Fault]:
    """What is wrong with an entity.

    Args:
        entity: That was read.
        seen: The ids before it, with their numbers.
        names: What the file calls a field, by ours ("entity.images" → "image_list").
        what: What the numbers count.

    Returns:
        Fields, and what is wrong with each.
    """
    faults: list[Fault] = []
    if entity.id in seen:
        faults.append((names.get("entity.id", "id"), _repeated(entity.id, seen[entity.id], what)))
    if not entity.names and not entity.description.strip():
        faults.append((names.get("entity.name", "name"), "is empty and so is the description; fill in one of them"))
    faults += [
        (names.get(f"entity.{field}", field), "holds a null character; take it out")
        for field in TEXTS
        if any("\0" in text for text in _listed(getattr(entity, field)))
    ]
    where = names.get("entity.images", "images")
    return faults + [(where, reason) for image in entity.images if (reason := _leaves(image))]


def _listed(texts: str | tuple[str, ...]) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else texts


def _mention_faults(mention: Mention, seen: dict[str, int], known: set[str], layout: Reader) -> list[Fault]:
    faults: list[Fault] = []
    if mention.id in seen:
        faults.append(("id", _repeated(mention.id, seen[mention.id], "record")))
    if mention.answer is not None and mention.answer not in known:
        remedy = "add that entity, correct the id, or mark the mention as NIL"
        where = layout.field_names.get("mention.answer", "answer")
        faults.append((where, f"{mention.answer!r} is not in the knowledge base; {remedy}"))
    where = layout.field_names.get("mention.image", "image")
    images = (mention.image,) if isinstance(mention.image, str) else mention.images
    return faults + [(where, reason) for image in images if (reason := _leaves(image))]


def _repeated(identifier: str, number: int, what: str) -> str:
    return f"{identifier!r} is also the id of {what} {number}; give each its own"


def _leaves(name: str) -> str | None:
    """Why a picture's path is refused: it must name a file below the directory, on every system."""
    if not name:
        return "is an empty path; leave it out where there is no picture"
    if "\0" in name:
        return f"{name!r} holds a null character; name a file"
    if PurePosixPath(name).is_absolute() or Path(name).anchor or ".." in re.split(r"[/\\]", name):
        return f"{name!r} leaves the data set's directory; use a path inside it"
    return None


def inside(directory: Path, name: str) -> Path:
    """The file of this name below a directory.

    Args:
        directory: That it is to be in.
        name: Relative to it.

    Returns:
        The path, of a file that need not be there.

    Raises:
        MelderError: The name leads out of it.
    """
    if reason := _leaves(name):
        raise MelderError(f"{directory}: the picture {reason}")
    return directory / name


def _settle(kept: list[Entity] | list[Mention], problems: Problems, path: Path, skip_bad: bool) -> None:
    """Raise when bad records are not to be skipped, and when nothing is left."""
    if not kept and not problems.records:
        problems.add(path, 0, [("", "is empty; write at least one record, or remove the file")])
    if problems.records and not (skip_bad and kept):
        raise problems.error()
