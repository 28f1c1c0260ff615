"""What a person asks: a mention from a text and the span meant, and the verb `link` that every linker has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from melder.data import Limits, mention_item, mention_items
from melder.data.items import MentionPictures
from melder.encoders import Towers
from melder.languages import AS_WRITTEN, Languages
from melder.linking.nil_calibration import Nil
from melder.protocols import Linker
from melder.records import Entity, Item, Link, MelderError, Mention
from melder.search.entity_store import EntityStore
from melder.search.filters import AskedTypes, Types
from melder.search.resolver import Search

__all__ = ["Answering", "MatchingLinker", "to_mention"]


class MatchingLinker(Linker, Protocol):
    """A linker that compares sides (`has_candidates`, `explains`): the entities that it searches, and its model.

    Attributes:
        search: Finds the links instead of scoring all entities; ranks stay exact.
    """

    search: Search | None

    @property
    def source(self) -> EntityStore: ...

    @property
    def modalities(self) -> Collection[str]: ...


class EncodingModel(Protocol):
    """A model that reads mentions with an encoder."""

    encoder: Towers


class Answering(ABC):
    """`link`, in terms of the two verbs in which linkers differ; what they read of a mention; what most cannot do."""

    has_candidates = False
    explains = False
    calibrates = False
    nil: Nil | None = None
    languages = AS_WRITTEN  # in which candidates are named

    @property
    def figures(self) -> Mapping[str, Any]:
        return {}

    def ablations(self) -> Mapping[str, Linker]:
        return {}

    def name_in(self, languages: Languages) -> None:
        """Name candidates in the first of some languages in which they have a name."""
        self.languages = languages

    def shown_name(self, entity: Entity, mention: Mention) -> str:
        """What an entity is called in the language of a mention or, where it has no name in that, as wished."""
        return entity.in_language(self.languages.after(mention.language)).name

    model: EncodingModel
    modalities: frozenset[str]  # what is read of a mention: text, image
    pictures: MentionPictures  # where pictures of mentions lie that records name

    @abstractmethod
    def answers(
        self, mentions: Sequence[Mention], items: Sequence[Item], k: int, types: AskedTypes = None
    ) -> Iterator[list[Link]]:
        """Links of a few mentions at a time, in order; `items` are what the encoder is to read of them.

        Candidates are entities of some types, the same for all mentions or others for each, or (None) of any.
        """

    @abstractmethod
    def known_types(self, types: Sequence[str]) -> Types | None:
        """What `answers` is to be given for entities of any of these types; None where none are named.

        Raises:
            MelderError: A type that no entity has, and by a linker that cannot do this.
        """

    def items(self, mentions: Sequence[Mention]) -> list[Item]:
        """What the encoder reads of mentions whose pictures lie in the data set, or are files without one."""
        return mention_items(mentions, self.pictures, self.model.encoder.separator, self.modalities)

    def item(self, mention: Mention, image: str | Path | bytes | None) -> Item:
        """What the encoder reads of a mention with a picture from anywhere."""
        picture = Path(image) if isinstance(image, str) else image
        return mention_item(mention, picture, self.model.encoder.separator, self.modalities)

    def check_picture(self, content: bytes, limits: Limits) -> None:
        """Decode a picture that will soon be linked with; it is not decoded again then.

        Raises:
            UnreadablePicture: It is none, or is beyond the limits.
        """
        self.model.encoder.check(content, limits)

    def link(
        self,
        mentions: str | Sequence[Mention],
        k: int = 10,
        *,
        mention: str | None = None,
        image: str | Path | bytes | None = None,
        types: str | Sequence[str] = (),
    ) -> Link | list[Link]:
        """The k best entities for each mention; for one text, of its `mention` (default: the whole text).

        A list of `Mention` gives a list of `Link`, in order. One text, with `image` a path or the bytes of an
        image file, gives one `Link`. With `types` only entities that have one of them are candidates.

        Raises:
            MelderError: `k` is not from 1 up, the mention does not occur in the text, there is no such picture, or no
                entity has a type.
        """
        if k < 1:
            raise MelderError(f"k is {k}; ask for at least one candidate")
        known = self.known_types([types] if isinstance(types, str) else types)
        if not isinstance(mentions, str):
            return [link for block in self.answers(mentions, self.items(mentions), k, known) for link in block]
        if isinstance(image, (str, Path)) and not Path(image).is_file():
            raise MelderError(f"{image}: there is no such file; name a picture, or leave it out")
        record = to_mention(mentions, mention)
        return next(self.answers([record], [self.item(record, image)], k, known))[0]


def to_mention(text: str, surface: str | None = None, identity: str = "query") -> Mention:
    """The first occurrence of `surface` in `text`, the whole text when no surface is given.

    Raises:
        MelderError: The surface is empty or does not occur.
    """
    span = text if surface is None else surface
    if not span.strip():
        raise MelderError("the mention is empty: give the words that are to be linked")
    start = text.find(span)
    if start < 0:
        raise MelderError(f"the mention {span!r} does not occur in the text {text!r}: copy it letter by letter")
    return Mention(id=identity, text=text, start=start, end=start + len(span), surface=span)
