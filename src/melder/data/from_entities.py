"""Mentions made from entities, to train on where nobody has labelled any.

What a mention shows is taken away from its entity, for all examples, so that nothing can be learned by comparing a
thing with itself:

* context: a third of the sentences of its description (at least one; of a single long sentence, one half). A name in it
  gives way to the surface; where there is none, the surface stands in front.
* picture: a third of its pictures (at least one). Of a single picture the mention shows a random view, each its own.
* surface: a name or an alias, or a part of one that others may share: last word, first word, initials.

Everything is a function of (seed, entity id, number of the mention).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from melder.records import Entity, MelderError, Mention

__all__ = ["Made", "make_mentions", "pieces"]

KINDS = {"name": 0.5, "last": 0.25, "first": 0.15, "initials": 0.1}  # of surfaces, and how often each is tried
LONG = 8  # words of a sentence that may be halved
SENTENCE_END = re.compile(r"(?:(?<=\w\w[.!?])\s+(?=[^a-z\s])|(?<=[。！？])\s*(?=\S))")
EMPTY_WORDS = {"a", "an", "and", "at", "by", "de", "for", "in", "la", "le", "of", "on", "or", "the", "to", "und", "von"}


@dataclass(frozen=True)
class Made:
    """Entities less what their mentions show, and the mentions, those of one number together.

    Args:
        views: Pictures that are still to be drawn: for the name of each, that of the entity's picture, and a seed.
    """

    entities: list[Entity]
    mentions: list[Mention]
    views: dict[str, tuple[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Parted:
    """An entity as it stays, and what is taken from it."""

    entity: Entity
    names: tuple[str, ...]
    contexts: Sequence[str]
    images: Sequence[str]


def make_mentions(entities: Iterable[Entity], count: int, seed: int, *, views: bool = True) -> Made:
    """Up to `count` different mentions of each entity that has a name; all of train, none NIL.

    Args:
        entities: With or without names.
        count: Mentions of an entity.
        seed: By which they are drawn.
        views: Whether an entity's only picture is shown as a random view, or as it is.

    Returns:
        The mentions, and how many pictures are views.

    Raises:
        MelderError: No entity has a name.
    """
    parted = [_part(entity, _generator(seed, entity.id)) for entity in entities]
    made, seen = Made([each.entity for each in parted], []), set[tuple[str, str, tuple[str, ...]]]()
    for number in range(count):
        for each in parted:
            mention = _mention(each, number, seed, views, made.views)
            if mention is None:
                continue
            shown = (str(mention.answer), mention.text, mention.images)
            if shown not in seen:
                seen.add(shown)
                made.mentions.append(mention)
    if not made.mentions:
        raise MelderError("no entity has a name: there is nothing to make mentions from")
    return made


def pieces(description: str) -> list[str]:
    """The sentences of a description, each once; the halves of a single long one, parted at a comma if there is one.

    Args:
        description: Of an entity.

    Returns:
        In their order.
    """
    sentences = list(dict.fromkeys(part.strip() for part in SENTENCE_END.split(description) if part.strip()))
    if len(sentences) != 1 or len(sentences[0].split()) < LONG:
        return sentences
    whole = sentences[0]
    commas, spaces = ([found.end() for found in re.finditer(end, whole)] for end in (r"[,;]\s", r"\s"))
    quarter = len(whole) / 4
    breaks = [place for place in commas if quarter < place < 3 * quarter] or spaces
    middle = min(breaks, key=lambda place: abs(place - len(whole) / 2))
    return [whole[:middle].strip(), whole[middle:].strip()]


def _part(entity: Entity, generator: np.random.Generator) -> _Parted:
    sentences = pieces(entity.description)
    contexts, kept = _third(sentences, generator)
    images, left = _third(entity.images, generator)
    stays = {"description": " ".join(kept) if contexts else entity.description, "images": tuple(left)}
    return _Parted(entity.model_copy(update=stays), entity.names, contexts, images)


def _third(values: Sequence[str], generator: np.random.Generator) -> tuple[list[str], list[str]]:
    """A third of two or more values, at least one, and the others; of fewer nothing."""
    count = max(1, len(values) // 3) if len(values) > 1 else 0
    taken = set(generator.choice(len(values), count, replace=False).tolist()) if count else set()
    return [v for n, v in enumerate(values) if n in taken], [v for n, v in enumerate(values) if n not in taken]


def _mention(parted: _Parted, number: int, seed: int, views: bool, drawn: dict[str, tuple[str, int]]) -> Mention | None:
    if not parted.names:
        return None
    generator = _generator(seed, parted.entity.id, number)
    surface = _surface(parted.names, generator)
    text, start = surface, 0
    if parted.contexts:
        text, start = _placed(str(generator.choice(parted.contexts)), surface, parted.names)
    return Mention(
        id=f"{parted.entity.id}#{number}",
        text=text,
        start=start,
        end=start + len(surface),
        surface=surface,
        image=_image(parted, generator, number, views, drawn),
        answer=parted.entity.id,
    )


def _surface(names: Sequence[str], generator: np.random.Generator) -> str:
    """A name, or a part of it that is worth something."""
    name = str(generator.choice(names)).strip()
    kind = str(generator.choice(list(KINDS), p=list(KINDS.values())))
    words = [word.strip(".,;:()[]\"'") for word in re.sub(r"\(.*?\)", " ", name).split()]
    words = [word for word in words if word]
    if kind == "name" or len(words) < 2:
        return name
    if kind == "initials":
        part = "".join(word[0] for word in words if word.lower() not in EMPTY_WORDS).upper()
    else:
        part = words[-1 if kind == "last" else 0]
    return part if len(part) > 1 and not part.isdigit() and part.lower() not in EMPTY_WORDS else name


def _placed(context: str, surface: str, names: Iterable[str]) -> tuple[str, int]:
    """The context with the surface in the place of every name, or in front; and where the surface starts."""
    any_name = "|".join(re.escape(name.strip()) for name in sorted(names, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)(?:{any_name})(?!\w)")
    found = pattern.search(context)
    if found is None:
        return f"{surface}. {context}", 0
    return pattern.sub(lambda _: surface, context), found.start()


def _image(
    parted: _Parted, generator: np.random.Generator, number: int, views: bool, drawn: dict[str, tuple[str, int]]
) -> str | None:
    if parted.images:
        return str(generator.choice(parted.images))
    if not parted.entity.images:
        return None
    (image,) = parted.entity.images
    if not views:
        return image
    name = f"views/{_digest(image, parted.entity.id, number).hex()}.jpg"
    drawn[name] = (image, int(generator.integers(2**31)))
    return name


def _generator(*parts: object) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(_digest(*parts), "big"))


def _digest(*parts: object) -> bytes:
    return hashlib.blake2b(repr(parts).encode(), digest_size=12).digest()
