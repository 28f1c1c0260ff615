"""A knowledge base on disk as what is served: its catalogue, its generations, and its changes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from melder.building.build import add_entities, remove_entities
from melder.building.learning import forget, learn
from melder.data import mention_item
from melder.kb import KnowledgeBase, open_knowledge_base
from melder.kb.manifest import MODEL, Identity
from melder.kb.shards import version_of
from melder.kb.type_counts import TypeCounts
from melder.languages import AS_WRITTEN, Languages
from melder.linking import ExactLinker
from melder.linking.comparing import nil_of
from melder.linking.opening import open_linker, searching
from melder.linking.second_look import SecondLook, open_second_look
from melder.protocols import Counting, Linker
from melder.records import Entity, MelderError
from melder.runs.directory import open_model
from melder.runs.model import Model
from melder.runs.rerank_configuration import FIRST_STAGE, method_changes
from melder.serving.catalogue import Catalogue
from melder.serving.localised import LocalisedCatalogue
from melder.serving.source import NewEntity, NewExemplar, Served, model_name

__all__ = ["KnowledgeBaseCatalogue", "KnowledgeBaseSource", "ReadOnlySource"]


class KnowledgeBaseCatalogue:
    """The entities of one generation, read from the disk when they are asked for; `count` counts their types."""

    def __init__(self, base: KnowledgeBase, count: Callable[[KnowledgeBase], tuple[str, ...]]) -> None:
        self._base, self._count = base, count

    @cached_property
    def types(self) -> Sequence[str]:
        return self._count(self._base)

    def __len__(self) -> int:
        return len(self._base)

    def names(self) -> Iterator[str]:
        return (name for entity in self._base.entities for name in entity.names)

    def entity(self, identity: str) -> Entity | None:
        row = self._base.rows([identity]).get(identity)
        return None if row is None else self._base.records([row])[0]

    def named(self, name: str) -> Sequence[Entity]:
        return self._base.records(self._base.named(name))

    def starting(self, prefix: str, limit: int) -> Sequence[Entity]:
        """Those with just this name come first."""
        rows = dict.fromkeys([*self._base.named(prefix), *self._base.search(prefix, limit)])
        return self._base.records([*rows][:limit])

    def picture(self, entity: Entity) -> bytes | None:
        return self._base.entity_picture(entity)

    def has_picture(self, entity: Entity) -> bool:
        return bool(entity.images) and self._base.has_picture(self._base.rows([entity.id])[entity.id])


@dataclass
class _Opened:
    """What the model files of a knowledge base were read into; `look` is its second look, if it has one; `writing` is a
    model that only encodes new entities, since tokenizers must not be shared by threads."""

    identity: Identity
    model: Model
    modalities: tuple[str, ...]
    name: str
    look: SecondLook | None = None
    writing: tuple[Model, frozenset[str]] | None = None


class ReadOnlySource:
    """A knowledge base, or a set of shards, that other processes may change.

    Entities are shown in `languages`. `changes` are settings of the method in the place of the run's, such as
    "method.assignment=attention"; `candidates` names a search, which should be one that the knowledge base keeps: each
    change makes any other anew. The model is read again only when its files are others.
    """

    editable = False

    def __init__(
        self,
        directory: Path,
        changes: Sequence[str] = (),
        candidates: str | None = None,
        languages: Languages = AS_WRITTEN,
    ) -> None:
        self.directory, self.changes, self.candidates = directory, tuple(changes), candidates
        self.languages = languages
        self._opened: _Opened | None = None
        self._kinds = TypeCounts()

    def generation(self) -> str:
        return version_of(self.directory)

    def open(self, counting: Counting | None = None) -> Served:
        base = open_knowledge_base(self.directory)
        try:
            return self._served(base, counting)
        except BaseException:
            base.close()
            raise

    def _served(self, base: KnowledgeBase, counting: Counting | None) -> Served:
        linker, model = self._linker(base, counting)
        searching(linker, self.candidates, counting)
        linker.name_in(self.languages)
        catalogue: Catalogue = KnowledgeBaseCatalogue(base, self._kinds.of)
        catalogue, name = LocalisedCatalogue(catalogue, self.languages), self.directory.resolve().name
        return Served(linker, catalogue, base.version, model, name, close=base.close)

    def _linker(self, base: KnowledgeBase, counting: Counting | None) -> tuple[Linker, str]:
        """A linker to this generation, and its model's name."""
        first = self._first_stage(base, counting)
        assert self._opened is not None  # the first stage has opened it
        look = self._opened.look
        return first if look is None else look.over(first), self._opened.name

    def _first_stage(self, base: KnowledgeBase, counting: Counting | None) -> ExactLinker:
        identity, opened = base.generation.settings.identity, self._opened
        if opened is not None and opened.identity == identity:
            nil = None if method_changes(self.changes) else nil_of(base.model, base)
            return ExactLinker(opened.model, base, modalities=opened.modalities, nil=nil)
        linker = open_linker(base.model, base, changes=[*self.changes, FIRST_STAGE], counting=counting)
        if not linker.has_candidates:
            raise MelderError(f"{self.directory}: its method writes names; serve a method that compares")
        exact = cast(ExactLinker, linker)
        look = open_second_look(base.model, self.changes)
        self._opened = _Opened(identity, exact.model, tuple(exact.modalities), model_name(base.model), look)
        return exact


class KnowledgeBaseSource(ReadOnlySource):
    """A knowledge base that is changed here too; a second copy of the model is read with the first change."""

    editable = True

    def add(self, entities: Sequence[NewEntity]) -> None:
        self._write(entities, replace=False)

    def replace(self, entities: Sequence[NewEntity]) -> None:
        self._write(entities, replace=True)

    def remove(self, identities: Sequence[str]) -> None:
        remove_entities(self.directory, identities)

    def learn(self, identity: str, mentions: Sequence[NewExemplar]) -> None:
        model, modalities = self._writing()
        separator = model.encoder.separator
        records = [new.mention.model_copy(update={"answer": identity}) for new in mentions]
        items = [
            mention_item(record, new.picture, separator, modalities)
            for record, new in zip(records, mentions, strict=True)
        ]
        learn(self.directory, list(zip(records, items, strict=True)), model)

    def forget(self, identity: str) -> None:
        forget(self.directory, entities={identity})

    def _writing(self) -> tuple[Model, frozenset[str]]:
        """The model that encodes what is written, read with the first change."""
        opened = self._opened
        assert opened is not None  # a source is changed while it is served
        opened.writing = opened.writing or open_model(self.directory / MODEL)
        return opened.writing

    def _write(self, entities: Sequence[NewEntity], *, replace: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            pictures = _Written(Path(folder))
            records = [pictures.written(number, each) for number, each in enumerate(entities)]
            add_entities(self.directory, records, pictures, model=self._writing(), replace=replace)


class _Written:
    """Pictures of new entities, in a folder for as long as they are being encoded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def written(self, number: int, new: NewEntity) -> Entity:
        """The entity with the names of its pictures, which are now files."""
        names = [f"{number}-{place}" for place in range(len(new.pictures))]
        for name, content in zip(names, new.pictures, strict=True):
            self.entity_image(name).write_bytes(content)
        return new.entity.model_copy(update={"images": tuple(names)})

    def entity_image(self, path: str) -> Path:
        return self._folder / path
