"""What is served: a linker with its catalogue, opened again whenever the knowledge base has a new generation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import melder
from melder.data import DataSet, Limits
from melder.data.layouts import open_layout
from melder.languages import AS_WRITTEN, Languages
from melder.linking.nil_calibration import Nil
from melder.protocols import Counting
from melder.records import Entity, Item, Link, MelderError, Mention
from melder.runs.directory import read_configuration
from melder.search.filters import AskedTypes
from melder.serving.catalogue import Catalogue, DataSetCatalogue
from melder.serving.localised import LocalisedCatalogue

__all__ = [
    "DataSetSource",
    "Editable",
    "NewEntity",
    "NewExemplar",
    "Served",
    "ServedSource",
    "ServingLinker",
    "model_name",
]


class ServingLinker(Protocol):
    """A linker that takes mentions with pictures from anywhere; `explains` says whether its links can be explained."""

    nil: Nil | None

    @property
    def explains(self) -> bool: ...

    @property
    def has_comparable_scores(self) -> bool:
        """Whether its scores are comparable with those of another knowledge base of the same model."""
        ...

    @property
    def pictures_read(self) -> int: ...

    @property
    def compares_pictures(self) -> bool: ...

    def item(self, mention: Mention, image: Sequence[bytes]) -> Item: ...

    def answers(
        self, mentions: Sequence[Mention], items: Sequence[Item], k: int, types: AskedTypes = None
    ) -> Iterator[list[Link]]: ...

    def check_picture(self, content: bytes, limits: Limits) -> None:
        """Decode a picture that will soon be linked with. Raises UnreadablePicture."""
        ...


@dataclass(frozen=True, eq=False)
class Served:
    """One generation of a knowledge base, ready to answer; a request keeps to the one that it started with.

    `close` is called when nobody uses it any more.
    """

    linker: ServingLinker
    catalogue: Catalogue
    generation: str
    model: str
    name: str
    close: Callable[[], None] | None = None


@dataclass(frozen=True)
class NewEntity:
    """An entity to add or to put in the place of another, without `images`, and the bytes of its pictures."""

    entity: Entity
    pictures: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class NewExemplar:
    """A mention that meant an entity, and the bytes of its picture."""

    mention: Mention
    picture: bytes | None = None


class ServedSource(Protocol):
    """Where a knowledge base comes from; `editable`: it is an `Editable` too."""

    @property
    def editable(self) -> bool: ...

    def generation(self) -> str:
        """The generation that `open` would open now; quick to find out."""
        ...

    def open(self, counting: Counting | None = None) -> Served:
        """Raises MelderError when it cannot be read."""
        ...


class Editable(Protocol):
    """A source whose entities can be changed; each verb makes a new generation, or raises MelderError."""

    def add(self, entities: Sequence[NewEntity]) -> None:
        """None of the ids is there yet."""
        ...

    def replace(self, entities: Sequence[NewEntity]) -> None:
        """All of the ids are there."""
        ...

    def remove(self, identities: Sequence[str]) -> None: ...

    def learn(self, identity: str, mentions: Sequence[NewExemplar]) -> None:
        """Mentions that meant an entity, which is there."""
        ...

    def forget(self, identity: str) -> None:
        """All that was learned of an entity."""
        ...


class DataSetSource:
    """The entities of a data set, which a run encodes when they are opened.

    A generation is named after the size and the time of the file of entities: writing it anew makes another.
    """

    editable = False

    def __init__(
        self,
        run: Path,
        data: Path,
        changes: Sequence[str] = (),
        candidates: str | None = None,
        languages: Languages = AS_WRITTEN,
    ) -> None:
        self.run, self.data, self.changes, self.candidates = run, data, tuple(changes), candidates
        self.languages = languages

    def generation(self) -> str:
        stat = open_layout(self.data, "auto", "desc").entity_file.stat()
        return hashlib.sha256(f"{stat.st_mtime_ns} {stat.st_size}".encode()).hexdigest()[:12]

    def open(self, counting: Counting | None = None) -> Served:
        generation = self.generation()  # before reading: a change meanwhile is then seen
        linker = melder.load(self.run, self.data, changes=self.changes, candidates=self.candidates, counting=counting)
        linker.name_in(self.languages)
        dataset: DataSet = linker.knowledge_base
        name, catalogue = (
            dataset.directory.resolve().name,
            LocalisedCatalogue(DataSetCatalogue(dataset), self.languages),
        )
        return Served(linker, catalogue, generation, model_name(self.run), name)


def model_name(run: Path) -> str:
    """The method of a run and the start of its weights' digest, such as m3el-3f9a12cd07b4, which names no path."""
    digest = hashlib.sha256()
    try:
        with (run / "model.safetensors").open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise MelderError(f"{run / 'model.safetensors'}: cannot be read ({error.strerror})") from None
    return f"{read_configuration(run).method.name}-{digest.hexdigest()[:12]}"  # type: ignore[attr-defined]
