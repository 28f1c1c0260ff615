"""What a person asks: a mention from a text and the span meant, and the verb `link` that every linker has."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

from typing_extensions import Self

from melder.data import Limits, UnreadablePicture, mention_item, mention_items
from melder.data.items import MentionPictures, listed_pictures
from melder.data.mention_inputs import MentionInput, is_single, read_mention, read_mentions
from melder.data.thumbnails import thumbnail
from melder.encoders import Towers
from melder.io.counts import how_many
from melder.io.hub import upload
from melder.io.progress_bars import progress_bars
from melder.kb.exemplars import Exemplars
from melder.languages import AS_WRITTEN, Languages
from melder.linking.link_list import LinkList
from melder.linking.nil_calibration import Nil
from melder.protocols import Linker
from melder.records import Entity, Item, Link, MelderError, Mention, Picture
from melder.search.entity_store import EntityStore
from melder.search.filters import AskedTypes, Types
from melder.search.resolver import Search

__all__ = ["BaseLinker", "MatchingLinker", "check_link", "first_candidates"]

THUMBNAIL = 96  # pixels a side, in notebooks


class MatchingLinker(Linker, Protocol):
    """A linker that compares sides (`has_candidates`, `explains`): the entities that it searches, and its model.

    Attributes:
        search: Finds the links instead of scoring all entities; ranks stay exact.
        exemplars: What was learned from labelled mentions.
    """

    search: Search | None

    @property
    def source(self) -> EntityStore: ...

    @property
    def modalities(self) -> Collection[str]: ...

    @property
    def exemplars(self) -> Exemplars: ...


class EncodingModel(Protocol):
    """A model that reads mentions with an encoder."""

    encoder: Towers


class BaseLinker(ABC):
    """`link`, in terms of the two verbs in which linkers differ; what they read of a mention; what most cannot do."""

    has_candidates = False
    explains = False
    calibrates = False
    learns = False
    has_comparable_scores = True  # with those of another knowledge base of the same model
    pictures_read = 1
    nil: Nil | None = None
    languages = AS_WRITTEN  # in which candidates are named
    knowledge_base: Any  # a data set or a knowledge base

    @property
    def compares_pictures(self) -> bool:
        """Whether a mention's picture can change its links: the encoder sees, and pictures are not left out."""
        return self.model.encoder.image is not None and "image" in self.modalities

    @property
    def figures(self) -> Mapping[str, Any]:
        return {}

    def ablations(self) -> Mapping[str, Linker]:
        return {}

    def seen_as(self, surface: str, identities: Sequence[str]) -> Mapping[str, str]:
        return {}

    def name_in(self, languages: Languages) -> None:
        """Name candidates in the first of some languages in which they have a name."""
        self.languages = languages

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

    @abstractmethod
    def close(self) -> None:
        """Give up the files of the knowledge base, and their lock; nothing can be linked afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def items(self, mentions: Sequence[Mention]) -> list[Item]:
        """What the encoder reads of mentions whose pictures lie in the data set, or are files without one."""
        separator = self.model.encoder.separator
        return mention_items(mentions, self.pictures, separator, self.modalities, self.pictures_read)

    def item(self, mention: Mention, image: str | Picture | Sequence[str | Picture] | None) -> Item:
        """What the encoder reads of a mention with a picture from anywhere, or several.

        Raises:
            UnreadablePicture: One of several that are given as bytes cannot be read; it has no name, but a number.
        """
        pictures = listed_pictures(image)[: self.pictures_read]
        if len(pictures) > 1 and self.compares_pictures and self.model.encoder.on_unreadable is None:
            self._check_given(pictures)
        return mention_item(mention, pictures, self.model.encoder.separator, self.modalities)

    def _check_given(self, pictures: Sequence[Picture]) -> None:
        for number, picture in enumerate(pictures, start=1):
            try:
                if isinstance(picture, bytes):
                    self.model.encoder.check(picture)
            except UnreadablePicture as error:
                raise UnreadablePicture(f"picture {number} of {len(pictures)}: {error}") from None

    def check_picture(self, content: bytes, limits: Limits) -> None:
        """Decode a picture that will soon be linked with; it is not decoded again then.

        Raises:
            UnreadablePicture: It is none, or is beyond the limits.
        """
        self.model.encoder.check(content, limits)

    @abstractmethod
    def entity(self, identity: str) -> Entity | None:
        """The record of an entity; None when there is none with this id."""

    def link(
        self,
        mentions: Any,
        k: int = 10,
        *,
        mention: str | None = None,
        start: int | None = None,
        end: int | None = None,
        image: Any = None,
        types: str | Sequence[str] = (),
        show_progress: bool = False,
    ) -> Link | LinkList:
        """The k best entities of one mention, or of each of several.

        Args:
            mentions: One mention: a text, (text, mention), (text, mention, image), a dictionary with text, mention,
                start, end, image, id, answer, or a `Mention`; or several: a list of such, or a pandas or polars table
                with these columns. Pictures that a `Mention` names lie in the data set; all others are from anywhere.
            k: Candidates of each mention, from 1 up.
            mention: Of one text, the words that are meant; default: the whole text.
            start: Of one text, where the mention begins, in code points; for words that occur several times.
            end: And where it ends.
            image: The picture of one text: a path, bytes, an open file, a Pillow image, an array or a data: address; or
                a list of such.
            types: Only entities that have one of these types are candidates.
            show_progress: Show a bar of how many mentions are done.

        Returns:
            A `Link` for one mention; for several their links, in order, as a list with `to_frame()`.

        Raises:
            MelderError: A mention has no such form or does not occur in its text, `k` is not from 1 up, there is no
                such picture, or no entity has a type.
        """
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise MelderError(f"k is {k}; ask for at least one candidate")
        known = self.known_types([types] if isinstance(types, str) else types)
        details = {"mention": mention, "start": start, "end": end, "image": image}
        named = {name: value for name, value in details.items() if value is not None}
        if named and not isinstance(mentions, str):
            raise MelderError(f"{next(iter(named))}=… goes with one text; of other mentions it is part of each")
        if is_single(mentions):
            one = read_mention({"text": mentions, **named} if named else mentions)
            return next(self._answers_of([one], k, known))[0]
        links = LinkList(thumbnail=self._thumbnail)
        inputs = read_mentions(mentions)
        with progress_bars() if show_progress else nullcontext() as counting:
            progress = counting("linking", len(inputs)) if counting else None
            for block in self._answers_of(inputs, k, known):
                links += block
                if progress:
                    progress(len(block))
        return links

    __call__ = link

    def push_to_hub(self, repository: str, *, private: bool = True, message: str = "Upload with Melder") -> str:
        """Upload its knowledge base, with the model in it, to the Hugging Face hub.

        Args:
            repository: USER/NAME; made when it is not there. Texts and pictures go with it: mind whose they are.
            private: Whether only its owner sees it, if it is made now.
            message: Of the commit.

        Returns:
            The address of the commit.

        Raises:
            MelderError: It searches a data set, nobody is logged in, or the hub refuses.
        """
        directory = self.knowledge_base.directory
        if not self.knowledge_base.has_sides:
            raise MelderError(f"{directory}: is a data set; make a knowledge base of it with `melder kb build` first")
        return upload(directory, repository, private=private, message=message)

    def _answers_of(self, inputs: Sequence[MentionInput], k: int, types: Types | None) -> Iterator[list[Link]]:
        if not self.compares_pictures and any(each.images for each in inputs):
            warnings.warn("this linker compares texts only: the picture is not looked at", stacklevel=3)
        items = [self._read_item(given) for given in inputs]
        yield from self.answers([given.mention for given in inputs], items, k, types)

    def _read_item(self, given: MentionInput) -> Item:
        return self.items([given.mention])[0] if given.in_data else self.item(given.mention, given.images)

    def _thumbnail(self, identity: str) -> bytes | None:
        entity = self.entity(identity)
        picture = None if entity is None else self.knowledge_base.entity_picture(entity)
        small = None if picture is None else thumbnail(picture, THUMBNAIL)
        return None if small is None else small.content

    def __repr__(self) -> str:
        reads = "texts and pictures" if self.compares_pictures else "texts"
        entities = how_many(len(self.knowledge_base.entities), "entity")
        return f"<{type(self).__name__}: {entities} of {self.knowledge_base.directory}, compares {reads}>"


def check_link(link: Link, knowledge_base: Path) -> Link:
    """The link, if all its scores are numbers, as JSON can hold them.

    Args:
        link: What was answered.
        knowledge_base: The directory of what was linked to, for the message.

    Returns:
        The same link.

    Raises:
        MelderError: A score is not finite.
    """
    for candidate in link.candidates:
        if not all(map(math.isfinite, (candidate.score, *candidate.units.values()))):
            units = [name for name, value in candidate.units.items() if not math.isfinite(value)]
            raise MelderError(
                f"{knowledge_base}: mention {link.surface!r} and entity {candidate.id!r} have a score that is NaN or "
                f"infinite ({', '.join(units) or 'the total'}); the model is damaged: train again, or name another run"
            )
    return link


def first_candidates(link: Link, k: int) -> Link:
    """The link with its best candidates alone.

    Args:
        link: What was answered, best first.
        k: How many candidates are wanted.

    Returns:
        A link that differs in nothing else.
    """
    return link.model_copy(update={"candidates": link.candidates[:k]})
