"""Turns mentions and entities into what an encoder reads: one text, its pictures, the names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from melder.records import Entity, Item, Mention, Picture

__all__ = [
    "MODALITIES",
    "EntityPictures",
    "MentionPictures",
    "Separator",
    "draw_image",
    "entity_items",
    "joined",
    "listed_pictures",
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
    mentions: Iterable[Mention],
    dataset: MentionPictures,
    separator: str,
    modalities: frozenset[str] = MODALITIES,
    pictures: int = 1,
) -> list[Item]:
    """An item a mention: surface + separator + context, its pictures, the surface, and where the mention stands.
    Whether a picture's file is there shows when it is decoded.

    Args:
        mentions: Of the data set.
        dataset: Where its pictures are.
        separator: Between surface and context.
        modalities: Leaves out the text, surfaces included, or the pictures.
        pictures: How many of the first.

    Returns:
        In their order.
    """
    return [
        mention_item(
            mention, [dataset.mention_image(name) for name in mention.images[:pictures]], separator, modalities
        )
        for mention in mentions
    ]


def mention_item(
    mention: Mention,
    image: Picture | Sequence[Picture] | None,
    separator: str,
    modalities: frozenset[str] = MODALITIES,
) -> Item:
    """The item of one mention, with a picture from anywhere, or several (None = without any).

    Args:
        mention: Any.
        image: From anywhere; None = without any.
        separator: Between a surface and its context.
        modalities: That are read.

    Returns:
        What an encoder reads.
    """
    first, *further = listed_pictures(image) if "image" in modalities and image else [None]
    shown: dict[str, Any] = {"image": first, "further": tuple(further), "role": "mention"}
    if "text" not in modalities:
        return Item(**shown)
    text = joined(mention.surface, mention.text, separator)
    lead = len(text) - len(mention.text)  # the context comes last
    span = None if mention.start is None or mention.end is None else (lead + mention.start, lead + mention.end)
    surfaces = (mention.surface,) if mention.surface.strip() else ()
    return Item(text, surfaces=surfaces, span=span, lead=lead if span else 0, **shown)


def entity_items(
    entities: Sequence[Entity],
    dataset: EntityPictures,
    separator: str,
    modalities: frozenset[str] = MODALITIES,
    images: Sequence[int] | None = None,
    pictures: int = 1,
) -> list[Item]:
    """An item an entity: name + separator + description, its pictures, its names and aliases.

    Args:
        entities: Of the data set.
        dataset: Where its pictures are.
        separator: Between name and description.
        modalities: Leaves out the text, names included, or the pictures.
        images: Which one picture instead, a number for each entity (`draw_image`; anything for one that has none).
        pictures: How many of the first.

    Returns:
        In their order.
    """
    items = []
    for row, entity in enumerate(entities):
        names = entity.images[:pictures] if images is None else entity.images[images[row] : images[row] + 1]
        shown = [dataset.entity_image(name) for name in names if "image" in modalities]
        text = joined(entity.name, entity.description, separator) if "text" in modalities else ""
        surfaces = entity.names if "text" in modalities else ()
        items.append(Item(text, next(iter(shown), None), surfaces, role="entity", further=tuple(shown[1:])))
    return items


def listed_pictures(image: str | Picture | Sequence[str | Picture] | None) -> list[Picture]:
    """One picture or several, each a path or the bytes of an image file, as a list.

    Args:
        image: Paths as texts too; None = none.

    Returns:
        Paths and bytes.
    """
    if image is None:
        return []
    several = [image] if isinstance(image, (str, Path, bytes)) else image
    return [Path(picture) if isinstance(picture, str) else picture for picture in several]


def draw_image(pictures: int, seed: int, epoch: int, index: int) -> int:
    """Which of several pictures is shown of an entity, or mention, in an epoch: uniform, and the same every time.

    MIMIC's code draws one each time an entity is read in training.

    Args:
        pictures: How many there are.
        seed: Of the training.
        epoch: Its number.
        index: Of the example.

    Returns:
        Its number; 0 where there is none.
    """
    if pictures < 2:
        return 0
    digest = hashlib.blake2b(f"{seed} {epoch} {index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % pictures


def joined(name: str, text: str, separator: str) -> str:
    """The text that is read of a name and what is said of it.

    A blank one is left out, and with it the separator unless that is a `Separator` that stands alone.

    Args:
        name: A name or a surface.
        text: A description or a context.
        separator: Between them.

    Returns:
        The text.
    """
    if getattr(separator, "stands_alone", False):
        return f"{name}{separator}{text}"
    return separator.join(part for part in (name, text) if part.strip())
