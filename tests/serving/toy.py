"""A linker that counts shared words, a catalogue and a source that can be changed: enough to test a service with."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from melder.data import DataSet, Limits, pictures
from melder.records import Candidate, Entity, Item, Link, Mention
from melder.search.filters import AskedTypes, Types, types_of_each
from melder.serving import DataSetCatalogue, NewEntity, Served
from melder.serving.source import NewExemplar

ENTITIES = (
    Entity(id="GN", name="Guinea", aliases=("Republic of Guinea",), description="A country.", types=("country",)),
    Entity(id="GW", name="Guinea-Bissau", description="Another country.", types=("country", "republic")),
    Entity(id="PG", name="Papua New Guinea", description="An island country.", types=("country", "island")),
    Entity(id="pig", name="Guinea pig", description="A rodent.", types=("animal",)),
    Entity(id="a/b", name="Slash", description="Its id has a slash."),
    Entity(
        id="x", name="<script>alert(1)</script>", description='"><img src=x onerror=alert(1)>', types=("<b>bold</b>",)
    ),
    Entity(id="m1", name="Mercury", description="A planet."),
    Entity(id="m2", name="Mercury", description="A metal."),
)


class ToyLinker:
    """Scores an entity by the words that its names share with surface (3 each) and text (1 each).

    `open` is a gate: while it is cleared, linking waits; `seen` are the surfaces linked so far, `batches` the sizes.
    """

    explains = False
    nil = None
    compares_pictures = True
    pictures_read = 2
    has_comparable_scores = True

    def __init__(self, entities: Sequence[Entity]) -> None:
        self.entities = entities
        self.open = threading.Event()
        self.open.set()
        self.started = threading.Event()
        self.seen: list[str] = []
        self.batches: list[int] = []
        self.pictures: list[bytes | None] = []
        self.error: Exception | None = None

    def item(self, mention: Mention, image: bytes | Sequence[bytes] | None) -> Item:
        images = [image] if isinstance(image, bytes) else list(image or ())
        self.pictures += images or [None]
        return Item(mention.text, next(iter(images), None), (mention.surface,), further=tuple(images[1:]))

    def check_picture(self, content: bytes, limits: Limits) -> None:
        pictures.read_picture(content, limits=limits)

    def answers(
        self, mentions: Sequence[Mention], items: Sequence[Item], k: int, types: AskedTypes = None
    ) -> Iterator[list[Link]]:
        self.started.set()
        assert self.open.wait(60)
        if self.error is not None:
            raise self.error
        self.batches.append(len(mentions))
        self.seen += [mention.surface for mention in mentions]
        wanted = types_of_each(types, len(mentions))
        yield [self._link(mention, k, of) for mention, of in zip(mentions, wanted, strict=True)]

    def _link(self, mention: Mention, k: int, types: Types | None) -> Link:
        known = [entity for entity in self.entities if types is None or types.admit(entity.types)]
        scored = sorted(((_score(mention, entity), entity) for entity in known), key=lambda pair: -pair[0])
        candidates = [
            Candidate(id=each.id, name=each.name, score=score, units={"words": score}) for score, each in scored[:k]
        ]
        span = {"start": mention.start, "end": mention.end}
        return Link(id=mention.id, surface=mention.surface, candidates=tuple(candidates), **span)


def _score(mention: Mention, entity: Entity) -> float:
    words = {word for name in (*entity.names, entity.description) for word in _words(name)}
    return 3.0 * len(words & _words(mention.surface)) + len(words & _words(mention.text))


def _words(text: str) -> set[str]:
    return set(text.casefold().replace("-", " ").replace(".", "").split())


class ToySource:
    """Entities in memory; every change makes a generation."""

    editable = True

    def __init__(self, entities: Sequence[Entity] = ENTITIES) -> None:
        self.entities = {entity.id: entity for entity in entities}
        self.number = 1
        self.opened: list[ToyLinker] = []
        self.closed: list[str] = []
        self.pictures: dict[str, tuple[bytes, ...]] = {}
        self.learned: dict[str, list[NewExemplar]] = {}
        self.broken = False

    def generation(self) -> str:
        return f"{self.number:06d}"

    def open(self, counting: object = None) -> Served:
        if self.broken:
            raise OSError("/secret/place is half written")
        entities, generation = list(self.entities.values()), self.generation()
        self.opened.append(ToyLinker(entities))
        catalogue = DataSetCatalogue(DataSet(Path(), entities, layout=None))  # type: ignore[arg-type]
        return Served(
            self.opened[-1], catalogue, generation, "toy-1", "toys", close=lambda: self.closed.append(generation)
        )

    def add(self, entities: Sequence[NewEntity]) -> None:
        self.entities |= {each.entity.id: each.entity for each in entities}
        self.pictures |= {each.entity.id: each.pictures for each in entities}
        self.number += 1

    replace = add

    def learn(self, identity: str, mentions: Sequence[NewExemplar]) -> None:
        self.learned.setdefault(identity, []).extend(mentions)
        self.number += 1

    def forget(self, identity: str) -> None:
        self.learned.pop(identity, None)
        self.number += 1

    def remove(self, identities: Sequence[str]) -> None:
        for each in identities:
            del self.entities[each]
        self.number += 1


def picture(colour: str = "red", size: tuple[int, int] = (20, 10), form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, form)
    return file.getvalue()
