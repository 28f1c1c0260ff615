"""A knowledge base on disk as what is served: its catalogue, its generations, and its changes."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import melder
from melder.kb import KnowledgeBase
from melder.kb.manifest import CURRENT, MODEL
from melder.linking import ExactLinker
from melder.linking.kb_build import add_entities, open_model, remove_entities
from melder.protocols import Counting
from melder.records import Entity, MelderError
from melder.serving.source import NewEntity, Served, model_name

__all__ = ["KnowledgeBaseCatalogue", "KnowledgeBaseSource"]


class KnowledgeBaseCatalogue:
    """The entities of one generation, read from the disk when they are asked for."""

    def __init__(self, base: KnowledgeBase) -> None:
        self._base = base
        kinds = Counter(kind for entity in base.entities for kind in entity.types)
        self.types = tuple(kind for kind, _ in kinds.most_common())

    def __len__(self) -> int:
        return len(self._base)

    def names(self) -> Iterator[str]:
        return (name for entity in self._base.entities for name in entity.names)

    def entity(self, identity: str) -> Entity | None:
        column = self._base.columns([identity]).get(identity)
        return None if column is None else self._base.records([column])[0]

    def named(self, name: str) -> Sequence[Entity]:
        return self._base.records(self._base.named(name))

    def starting(self, prefix: str, limit: int) -> Sequence[Entity]:
        """Those with just this name come first."""
        columns = dict.fromkeys([*self._base.named(prefix), *self._base.search(prefix, limit)])
        return self._base.records([*columns][:limit])

    def picture(self, entity: Entity) -> bytes | None:
        return self._base.entity_picture(entity)


class KnowledgeBaseSource:
    """A knowledge base; other processes may change it too."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._linker: ExactLinker | None = None
        self._model = model_name(directory / MODEL)

    def generation(self) -> str:
        return (self.directory / CURRENT).read_text(encoding="ascii").partition(".")[0]

    def open(self, counting: Counting | None = None) -> Served:
        """The model is read once; later generations are searched with the same one."""
        linker = self._linker = self._newest(counting)
        base = linker.knowledge_base
        assert isinstance(base, KnowledgeBase)
        generation, name = f"{base.generation.number:06d}", self.directory.resolve().name
        return Served(linker, KnowledgeBaseCatalogue(base), generation, self._model, name, close=base.close)

    def add(self, entities: Sequence[NewEntity]) -> None:
        self._write(entities, replace=False)

    def replace(self, entities: Sequence[NewEntity]) -> None:
        self._write(entities, replace=True)

    def remove(self, identities: Sequence[str]) -> None:
        remove_entities(self.directory, identities)

    def _newest(self, counting: Counting | None) -> ExactLinker:
        if self._linker is None:
            linker = melder.load(self.directory, counting=counting)
            if not isinstance(linker, ExactLinker):
                raise MelderError(f"{self.directory}: its method writes names; serve a method that compares")
            return linker
        base = KnowledgeBase.open(self.directory)
        return ExactLinker(self._linker.model, base, modalities=tuple(self._linker.modalities), nil=self._linker.nil)

    def _write(self, entities: Sequence[NewEntity], *, replace: bool) -> None:
        """A model of its own encodes, since tokenizers must not be shared by threads."""
        with tempfile.TemporaryDirectory() as folder:
            pictures = _Written(Path(folder))
            records = [pictures.written(number, each) for number, each in enumerate(entities)]
            add_entities(self.directory, records, pictures, model=open_model(self.directory / MODEL), replace=replace)


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
