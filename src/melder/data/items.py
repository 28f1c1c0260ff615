"""Turns mentions and entities into what an encoder reads: one text, one picture, the names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from melder.records import Entity, Item, Mention

__all__ = [
    "MODALITIES",
    "EntityPictures",
    "MentionPictures",
    "Separator",
    "draw_image",
    "entity_items",
    "joined",
    "mention_item",
    "mention_items",
]

MODALITIES = frozenset({"text", "image"})


class Separator(str):
    """What stands between the two halves of a text, with a word about texts that have only one.

    Attributes:
        stands_alone: It is written even then, as MIMIC's loader does, whose texts of entities without a description
            end with it.
    """

    stands_alone: bool

    def __new__(cls, text: str, *, stands_alone: bool = False) -> Separator:
        separator = super().__new__(cls, text)
        separator.stands_alone = stands_alone
        return separator


class EntityPictures(Protocol):
    """Says where a picture that an entity names is, as a `DataSet` does."""

    def entity_image(self, path: str) -> Path: ...


class MentionPictures(Protocol):
    """Says where a mention's picture is, as a `DataSet` does."""

    def mention_image(self, path: str) -> Path: ...


def mention_items(
    mentions: Iterable[Mention], dataset: MentionPictures, separator: str, modalities: frozenset[str] = MODALITIES
) -> list[Item]:
    """An item a mention: surface + separator + context, the picture, the surface, and where the mention stands.

    `modalities` leaves out the text, surfaces included, or the picture. Whether a picture's file is there shows
    when it is decoded.
    """
    return [
        mention_item(mention, dataset.mention_image(mention.image) if mention.image else None, separator, modalities)
        for mention in mentions
    ]


def mention_item(
    mention: Mention, image: Path | bytes | None, separator: str, modalities: frozenset[str] = MODALITIES
) -> Item:
    """The item of one mention, with a picture from anywhere (None = without any)."""
    picture = image if "image" in modalities else None
    if "text" not in modalities:
        return Item(image=picture, role="mention")
    text = joined(mention.surface, mention.text, separator)
    lead = len(text) - len(mention.text)  # the context comes last
    span = None if mention.start is None or mention.end is None else (lead + mention.start, lead + mention.end)
    surfaces = (mention.surface,) if mention.surface.strip() else ()
    return Item(text, picture, surfaces, role="mention", span=span, lead=lead if span else 0)


def entity_items(
    entities: Sequence[Entity],
    dataset: EntityPictures,
    separator: str,
    modalities: frozenset[str] = MODALITIES,
    images: Sequence[int] | None = None,
) -> list[Item]:
    """An item an entity: name + separator + description, one of its pictures, its names and aliases.

    `images` says which picture, an index for each entity (`draw_image`; anything for one that has none); None =
    the first of each, as evaluation takes it.
    """
    chosen = [0] * len(entities) if images is None else images
    return [
        Item(
            text=joined(entity.name, entity.description, separator) if "text" in modalities else "",
            image=dataset.entity_image(entity.images[index]) if entity.images and "image" in modalities else None,
            surfaces=entity.names if "text" in modalities else (),
            role="entity",
        )
        for entity, index in zip(entities, chosen, strict=True)
    ]


def draw_image(entity: Entity, seed: int, epoch: int, index: int) -> int:
    """Which of its pictures an entity shows as example `index` of an epoch: uniform, and the same every time.

    MIMIC's code draws one each time an entity is read in training. 0 for an entity without pictures.
    """
    if len(entity.images) < 2:
        return 0
    digest = hashlib.blake2b(f"{seed} {epoch} {index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % len(entity.images)


def joined(name: str, text: str, separator: str) -> str:
    """The text that is read of a name and what is said of it.

    A blank one is left out, and with it the separator unless that is a `Separator` that stands alone.
    """
    if getattr(separator, "stands_alone", False):
        return f"{name}{separator}{text}"
    return separator.join(part for part in (name, text) if part.strip())
