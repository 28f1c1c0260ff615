"""The linker of a set of shards that services hold: each is asked for its best entities, and these are put together.

The k best of all are among the k best of each: the answer is that of one knowledge base. Where a shard gives no answer
in time, the link says that it is partial, and which shards are missing; it is whole again as soon as they are back.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from melder.data.items import MODALITIES
from melder.data.pictures import Limits, UnreadablePicture, read_picture
from melder.languages import AS_WRITTEN, Languages
from melder.linking.linker import BaseLinker
from melder.linking.mention_data import Files
from melder.linking.nil_calibration import NIL_TOP_K, Nil, of_link
from melder.linking.remote_records import record_of
from melder.linking.shard_service import ShardDescription, ShardService
from melder.protocols import Progress
from melder.records import Entity, Item, Link, MelderError, Mention, Picture, Ranks
from melder.search.filters import AskedTypes, Types, types_of_each

__all__ = ["RemoteEntities", "RemoteLinker", "descriptions"]

AT_ONCE = 16  # texts a request: far below what a service takes


@dataclass
class RemoteEntities:
    """What stands for the knowledge base: nothing of it is here but its size.

    Args:
        directory: The set, or the addresses.
    """

    directory: Path
    shards: Sequence[ShardService]
    has_sides = False
    has_records = False
    skipped: Sequence[Any] = ()

    @property
    def entities(self) -> Sequence[object]:
        """As many as there are, none of them told."""
        return range(sum(each.entities for each in descriptions(self.shards)))

    def close(self) -> None:
        for shard in self.shards:
            shard.close()


@dataclass
class _Sizes:
    image_global: int | None


@dataclass
class _Encoder:
    """What stands for the encoder, which the services have: it looks whether pictures can be read."""

    sees: bool
    on_unreadable: Any = None
    separator: str = ""

    @property
    def image(self) -> bool | None:
        return True if self.sees else None

    @property
    def sizes(self) -> _Sizes:
        return _Sizes(1 if self.sees else None)

    def check(self, content: bytes, limits: Limits | None = None) -> None:
        read_picture(content, limits=limits)


@dataclass
class _Model:
    encoder: Any


class RemoteLinker(BaseLinker):
    """Links mentions to the entities of several services, which have one model.

    Args:
        addresses: Of the services, in the order in which equal scores are listed.
        seconds: What an answer of a shard may take; then the link is partial.
        directory: Of the set; None = there is none, and messages name the addresses.
        nil: How scores become NIL probabilities; None: as the services do it.

    Raises:
        MelderError: No service answers, or two have other models.
    """

    data = None

    def __init__(
        self,
        addresses: Sequence[str],
        seconds: float,
        directory: Path | None = None,
        nil: Nil | None = None,
    ) -> None:
        self.shards = [ShardService(address, seconds) for address in addresses]
        self.seconds = seconds
        self._named = ", ".join(shard.address for shard in self.shards) if directory is None else str(directory)
        self.knowledge_base = RemoteEntities(directory or Path(addresses[0]), self.shards)
        self.pictures, self.modalities = Files(), MODALITIES
        try:
            self._first = self._described()
            for shard in self.shards:
                self._check_model(shard)
        except BaseException:
            self.close()
            raise
        self.nil = nil or self._first.nil
        self.pictures_read = self._first.pictures
        self.model: Any = _Model(_Encoder(self._first.compares_pictures))

    def answers(
        self, mentions: Sequence[Mention], items: Sequence[Item], k: int, types: AskedTypes = None
    ) -> Iterator[list[Link]]:
        each_types = types_of_each(types, len(mentions))
        for start in range(0, len(mentions), AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            yield self._answers(mentions[rows], items[rows], k, each_types[rows])

    def known_types(self, types: Sequence[str]) -> Types | None:
        there = {kind for each in descriptions(self.shards) for kind in each.types}
        for kind in types:
            if kind not in there:
                raise MelderError(f"no entity has the type {kind!r}; write it as the entities' records do")
        return Types(tuple(types)) if types else None

    def entity(self, identity: str) -> Entity | None:
        return record_of(self.shards, identity)

    def name_in(self, languages: Languages) -> None:
        if languages != AS_WRITTEN:
            raise MelderError(f"{self._named}: its services name entities; give --language to those")

    def close(self) -> None:
        self.knowledge_base.close()

    def ranks(self, mentions: Sequence[Mention]) -> Ranks:
        self._no_ranks()

    def links_and_ranks(
        self, mentions: Sequence[Mention], k: int, progress: Progress | None = None
    ) -> tuple[list[Link], Ranks]:
        self._no_ranks()

    def _no_ranks(self) -> NoReturn:
        raise MelderError(f"{self._named}: services tell no ranks; evaluate against the knowledge bases themselves")

    def _described(self) -> ShardDescription:
        """What the first that answers holds; all that answer have the same model."""
        asked = [(shard, shard.described()) for shard in self.shards]
        for shard, answer in asked:
            shard.answer_in(self.seconds + 1, answer)
        described = descriptions(self.shards)
        if not described:
            raise MelderError(f"{self._named}: none of its services answers; start them")
        return described[0]

    def _answers(
        self, mentions: Sequence[Mention], items: Sequence[Item], k: int, types: Sequence[Types | None]
    ) -> list[Link]:
        wanted = k if self.nil is None else max(k, NIL_TOP_K)
        pairs = zip(mentions, items, strict=True)
        requests = [_request(mention, self._contents(item), wanted) for mention, item in pairs]
        found: list[list[Link]] = [[] for _ in mentions]
        missing = list[str]()
        by_shard = {shard: (rows, links) for shard, rows, links in self._asked(requests, types)}
        for shard in self.shards:
            rows, links = by_shard[shard]
            if links is None:
                missing.append(shard.address)
                continue
            for row, link in zip(rows, links, strict=True):
                found[row].append(link)
        if len(missing) == len(self.shards):
            raise MelderError(f"{self._named}: none of its services answers; start them")
        answered = zip(mentions, items, found, strict=True)
        return [self._merged(mention, item, links, k, missing) for mention, item, links in answered]

    def _asked(
        self, requests: Sequence[Mapping[str, Any]], types: Sequence[Types | None]
    ) -> Iterator[tuple[ShardService, Sequence[int], list[Link] | None]]:
        """Of each shard, which of the requests it was sent and its links; None of one that is away."""
        end, waiting = time.monotonic() + self.seconds, []
        for shard in self.shards:
            if shard.is_there():
                rows, own = _for_shard(shard, requests, types)
                waiting.append((shard, rows, shard.links(own) if own else None))
            else:
                yield shard, [], None
        for shard, rows, answer in waiting:
            links = [] if answer is None else shard.answer_in(max(0.0, end - time.monotonic()), answer)
            if links is None:
                yield shard, [], None
                continue
            self._check_model(shard)
            yield shard, rows, links

    def _check_model(self, shard: ShardService) -> None:
        if shard.description is not None and shard.description.model != self._first.model:
            raise MelderError(
                f"{shard.address}: has the model {shard.description.model}, and the others have {self._first.model}; "
                "build each shard with the same run"
            )

    def _contents(self, item: Item) -> list[bytes]:
        """The pictures of a mention that can be read."""
        contents = []
        for picture in item.images[: self.pictures_read]:
            try:
                contents.append(_content(picture))
            except UnreadablePicture as error:
                if self.model.encoder.on_unreadable is None:
                    raise
                self.model.encoder.on_unreadable(item, error)
        return contents

    def _merged(self, mention: Mention, item: Item, links: Sequence[Link], k: int, missing: Sequence[str]) -> Link:
        """One link of those of the shards; of equal scores the first shard's comes first."""
        every = [candidate for link in links for candidate in link.candidates]
        first = {candidate.id: candidate for candidate in reversed(every)}  # an entity may be there once
        candidates = sorted(
            (candidate for candidate in every if first[candidate.id] is candidate), key=lambda each: -each.score
        )
        whole = Link(
            id=mention.id,
            start=mention.start,
            end=mention.end,
            surface=mention.surface,
            candidates=tuple(candidates),
            partial=bool(missing),
            missing=tuple(missing),
        )
        probability = None if self.nil is None else self.nil.probability(of_link(whole), item.image is not None)
        return whole.model_copy(update={"nil_probability": probability, "candidates": whole.candidates[:k]})


def descriptions(shards: Sequence[ShardService]) -> list[ShardDescription]:
    """What is known of shards, those that are away now too.

    Args:
        shards: The services of the set.

    Returns:
        The description of each that has ever answered, in their order.
    """
    return [shard.description for shard in shards if shard.description is not None]


def _request(mention: Mention, pictures: Sequence[bytes], k: int) -> dict[str, Any]:
    if mention.start is None:
        raise MelderError(f"mention {mention.id!r}: does not occur in its text, and a service marks mentions there")
    encoded = [base64.b64encode(picture).decode() for picture in pictures]
    span = {"start": mention.start, "end": mention.end}
    request = {"text": mention.text, "mentions": [span], "k": k, "language": mention.language}
    return {**request, "image": encoded if len(encoded) > 1 else next(iter(encoded), None)}


def _for_shard(
    shard: ShardService, requests: Sequence[Mapping[str, Any]], types: Sequence[Types | None]
) -> tuple[list[int], list[dict[str, Any]]]:
    """Which requests a shard can answer, and with the types that it knows: it refuses others, and has none of these."""
    rows, own = list[int](), list[dict[str, Any]]()
    there = set(shard.description.types) if shard.description else set[str]()
    for row, (request, wanted) in enumerate(zip(requests, types, strict=True)):
        if wanted is not None and wanted.every and len(wanted.names) > 1:
            raise MelderError("services find entities of any of several types, not those of all of them; name one type")
        names = [] if wanted is None else [name for name in wanted.names if name in there]
        if wanted is None or names:
            rows.append(row)
            own.append({**request, "types": names})
    return rows, own


def _content(picture: Picture) -> bytes:
    """The bytes of a picture that can be read. Raises UnreadablePicture."""
    read_picture(picture)
    return picture if isinstance(picture, bytes) else picture.read_bytes()
