"""What a program that reasons (an agent) may do with a knowledge base: link, find mentions, look entities up.

Answers are short, since an agent reads them whole: a few candidates, descriptions of a sentence or two.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from threading import RLock
from typing import cast

from pydantic import BaseModel, Field

from melder.data.mention_inputs import to_mention
from melder.data.pictures import WEB_FORMATS, Limits
from melder.export.addresses import answer_of
from melder.kb import KnowledgeBase
from melder.linking.load import load
from melder.mentions.resolver import open_finder
from melder.protocols import Counting, Linker, MentionFinder
from melder.records import Entity, Link, MelderError, languages_of

__all__ = ["AgentTools", "EntityAnswer", "LinkAnswer", "MentionAnswer", "ScoredEntity"]

DESCRIBED = 300  # characters of a description in a list; get_entity gives all of it
LONGEST = 20_000  # characters of a text: encoders read 40 to 77 tokens of it
MOST = 50  # entities in one answer
LIMITS = Limits(bytes=20_000_000, pixels=25_000_000, scan=25_000_000, formats=WEB_FORMATS)  # as of the service


class EntityAnswer(BaseModel):
    """An entity."""

    id: str
    name: str
    description: str = ""
    types: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


class ScoredEntity(BaseModel):
    """A candidate, and how well it fits: scores have no scale of their own, compare them with each other."""

    id: str
    name: str
    description: str
    score: float


class LinkAnswer(BaseModel):
    """What a mention means."""

    mention: str
    answer: str | None = Field(description="the id of the entity that is meant; null: none of them, or none was found")
    nil_probability: float | None = Field(description="that it is none of the candidates; null: not calibrated")
    candidates: tuple[ScoredEntity, ...] = Field(description="best first")


class MentionAnswer(BaseModel):
    """Where a text names an entity: code points [start, end)."""

    start: int
    end: int
    mention: str


class AgentTools:
    """A knowledge base as it is now, opened again when it was changed. Threads may share it; it works one by one.

    Args:
        directory: of the knowledge base or set of shards
        candidates: the name of a search that finds links without scoring every entity
        language: in which entities are named, such as "de,en"
        finder: of mentions, as `melder serve --find` has it
        pictures: a directory whose pictures may be named; None = pictures come as base64 only
    """

    def __init__(
        self,
        directory: Path,
        *,
        candidates: str | None = None,
        language: str | None = None,
        finder: str = "names",
        pictures: Path | None = None,
        counting: Counting | None = None,
    ) -> None:
        self._directory, self._candidates, self._language = directory, candidates, language
        self._pictures = None if pictures is None else pictures.resolve()
        self._languages = None if language is None else languages_of(language)
        self._empty_finder, self._finder = open_finder(finder), cast("MentionFinder | None", None)
        self._lock = RLock()
        self._linker = self._open(counting)

    def link(
        self,
        text: str,
        mention: str | None = None,
        picture: str | None = None,
        limit: int = 5,
        types: Sequence[str] = (),
        language: str | None = None,
    ) -> LinkAnswer:
        """The entity that the words `mention` of `text` mean, or all of the text."""
        _check_length(text)
        record = to_mention(text, mention)
        if language is not None:
            record = record.model_copy(update={"language": languages_of(language).wanted[0]})
        with self._lock:
            linker, base = self._current()
            content = None if picture is None else self._picture(picture)
            if content is not None:
                linker.check_picture(content, LIMITS)
            known = linker.known_types(list(types))
            (link,) = next(linker.answers([record], [linker.item(record, content)], _within(limit), known))
            return self._answer(link, base)

    def find_mentions(self, text: str) -> list[MentionAnswer]:
        """The places of a text that name entities."""
        _check_length(text)
        with self._lock:
            _, base = self._current()
            if self._finder is None:
                names = (name for entity in base.entities for name in entity.names)
                finder = self._empty_finder
                self._finder = finder.of_names(names) if finder.reads_names else finder
            spans = self._finder.find(text)
        return [MentionAnswer(start=start, end=end, mention=text[start:end]) for start, end in spans]

    def get_entity(self, identity: str) -> EntityAnswer:
        """Everything about the entity of an id."""
        with self._lock:
            _, base = self._current()
            rows = base.rows([identity])
            if identity not in rows:
                raise MelderError(f"there is no entity {identity!r}; look for it by its name with search_entities")
            return self._shown(base.records([rows[identity]])[0])

    def search_entities(self, name: str, limit: int = 5) -> list[EntityAnswer]:
        """Entities by their names: those of just this name first, then those with all of its words."""
        with self._lock:
            _, base = self._current()
            rows = dict.fromkeys([*base.named(name), *base.search(name, _within(limit))])
            entities = [self._shown(entity) for entity in base.records([*rows][:limit])]
        return [entity.model_copy(update={"description": _short(entity.description)}) for entity in entities]

    def _open(self, counting: Counting | None = None) -> Linker:
        return load(self._directory, candidates=self._candidates, language=self._language, counting=counting)

    def _current(self) -> tuple[Linker, KnowledgeBase]:
        """The linker to the newest generation."""
        base = cast(KnowledgeBase, self._linker.knowledge_base)
        if not base.is_current:
            self._linker, self._finder = self._open(), None
            base.close()
            base = cast(KnowledgeBase, self._linker.knowledge_base)
        return self._linker, base

    def _answer(self, link: Link, base: KnowledgeBase) -> LinkAnswer:
        rows = base.rows([candidate.id for candidate in link.candidates])
        entities = base.records([rows[candidate.id] for candidate in link.candidates])
        candidates = [
            ScoredEntity(
                id=candidate.id,
                name=candidate.name,
                description=_short(self._in_language(entity).description),
                score=round(candidate.score, 3),
            )
            for candidate, entity in zip(link.candidates, entities, strict=True)
        ]
        return LinkAnswer(
            mention=link.surface,
            answer=answer_of(link),
            nil_probability=None if link.nil_probability is None else round(link.nil_probability, 3),
            candidates=tuple(candidates),
        )

    def _shown(self, entity: Entity) -> EntityAnswer:
        shown = self._in_language(entity)
        others = tuple(name for name in shown.names if name != shown.name)
        return EntityAnswer(
            id=shown.id, name=shown.name, description=shown.description, types=shown.types, aliases=others[:MOST]
        )

    def _in_language(self, entity: Entity) -> Entity:
        return entity if self._languages is None else entity.in_language(self._languages)

    def _picture(self, text: str) -> bytes:
        """The bytes of a picture: base64, a data URI, or the name of a file in the directory of pictures."""
        if self._pictures is not None and len(text) < 1024 and "\0" not in text:
            file = (self._pictures / text).resolve()
            if file.is_relative_to(self._pictures) and file.is_file():
                return file.read_bytes()
        content = text.partition(",")[2] if text[:5].lower() == "data:" else text
        try:
            return base64.b64decode("".join(content.split()), validate=True)
        except (binascii.Error, ValueError):
            named = "" if self._pictures is None else ", or name a file of --picture-dir"
            raise MelderError(f"the picture is not base64; encode the bytes of its file{named}") from None


def _check_length(text: str) -> None:
    if len(text) > LONGEST:
        raise MelderError(f"the text has {len(text):,} characters, more than {LONGEST:,}; give a part of it")


def _within(limit: int) -> int:
    if not 1 <= limit <= MOST:
        raise MelderError(f"limit is {limit}; ask for 1 to {MOST}")
    return limit


def _short(text: str) -> str:
    return text if len(text) <= DESCRIBED else f"{text[: DESCRIBED - 1]}…"
