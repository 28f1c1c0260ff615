"""The generative linker: a language model's probability of each entity's name."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from melder.data import DataSet
from melder.generative.name_search import NameSearch, ScoredName
from melder.generative.names import Names
from melder.generative.prompt import Blocks
from melder.generative.prompt_builder import PromptBuilder
from melder.kb import KnowledgeBase
from melder.linking.gold import gold_rows
from melder.linking.homonyms import Homonyms
from melder.linking.linker import BaseLinker, check_link
from melder.linking.mention_data import data_of_mentions
from melder.metrics.ranks import join
from melder.protocols import Linker, Progress
from melder.records import Candidate, Entity, Item, Link, MelderError, Mention, Ranks
from melder.runs.gemel import Gemel, Pictures
from melder.search.filters import AskedTypes, types_of_each

__all__ = ["NAMES", "GenerativeLinker"]

NAMES = "names"  # in a run: the tries of what was linked to with it; they may be removed

CHUNK = 256  # mentions whose pictures and surfaces are encoded together
COUNTED = {"demonstrations": ("shown", "dropped"), "searches": ("exact", "inexact", "not_found")}
APART = 1e-9  # between the scores of homonyms: less than between any two names, so that only their order is told


@dataclass(frozen=True)
class Answers:
    """Entities of one mention, best first."""

    rows: np.ndarray
    scores: np.ndarray


class GenerativeLinker(BaseLinker):
    """Links mentions to the entities of a data set, or of a knowledge base, by the log-probability of their names.

    Of a knowledge base only the records are read, so that any will do, whatever it was built with. Names that several
    entities share are told apart by `Homonyms`.

    Args:
        model: Writes the names.
        knowledge_base: The entities.
        data: Within which mentions name their pictures; None = that of the entities, else they name files.
        modalities: What is read of mentions.
        homonyms: Tells entities of one name apart; None = by their descriptions.
        kept: A directory for the tries of many names, which need not be made again there.
    """

    model: Gemel

    def __init__(
        self,
        model: Gemel,
        knowledge_base: DataSet | KnowledgeBase,
        *,
        data: DataSet | None = None,
        modalities: Sequence[str] = ("text", "image"),
        homonyms: Homonyms | None = None,
        kept: Path | None = None,
    ) -> None:
        self.model, self.options = model, model.options
        self.knowledge_base = knowledge_base
        self.data, self.pictures = data_of_mentions(data, knowledge_base)
        self.modalities = frozenset(modalities)
        self.entities: Sequence[Entity] = knowledge_base.entities
        self.row_of: dict[str, int] = {}
        self.names = Names.of(self._noted(), aliases=self.options.aliases)
        self.names_of: list[list[int]] = [[] for _ in range(len(self.entities))]
        for name, owners in enumerate(self.names.owners):
            for row in owners:
                self.names_of[row].append(name)
        where = None if kept is None else kept / _key(knowledge_base.directory, self.options.aliases)
        self.search = NameSearch(model.model.language_model, self.names.texts, self.options, where)
        self.homonyms = homonyms or Homonyms(model.model, self.entities)
        self.asker = PromptBuilder(
            model.model.language_model,
            model.template,
            model.demonstrations,
            prefix_tokens=self.options.prefix_tokens,
            limit=self.options.context_length,
            longest_answer=self.search.longest,
            markers=self.options.markers,
        )
        self._counts: Counter[str] = Counter()

    def close(self) -> None:
        self.knowledge_base.close()

    def entity(self, identity: str) -> Entity | None:
        row = self.row_of.get(identity)
        return None if row is None else self.entities[row]

    def ranks(self, mentions: Sequence[Mention], pictures: Pictures | None = None) -> Ranks:
        """Ranks of the answers of mentions that all have one; bounds where not all names are scored.

        `pictures` are theirs, where they are known already.
        """
        return self.links_and_ranks(mentions, 1, pictures=pictures)[1]

    def links_and_ranks(
        self,
        mentions: Sequence[Mention],
        k: int,
        progress: Progress | None = None,
        pictures: Pictures | None = None,
    ) -> tuple[list[Link], Ranks]:
        """Links of all the mentions, and the ranks of the answers of those that have one, in one pass."""
        gold_rows([mention for mention in mentions if mention.answer is not None], self.row_of)
        links, ranks = list[Link](), list[Ranks]()
        for block, found in self._found(mentions, self.items(mentions), progress, pictures):
            links += [self._link(mention, each, k) for mention, each in zip(block, found, strict=True)]
            answered = [pair for pair in zip(block, found, strict=True) if pair[0].answer is not None]
            ranks += [self._rank(mention, each) for mention, each in answered]
        return links, join(ranks)

    def known_types(self, types: Sequence[str]) -> None:
        if types:
            raise MelderError(f"type {types[0]!r}: a method that writes names cannot be kept to types; leave them out")

    def answers(
        self, mentions: Sequence[Mention], items: Sequence[Item], k: int, types: AskedTypes = None
    ) -> Iterator[list[Link]]:
        if any(types_of_each(types, len(mentions))):
            raise MelderError("a method that writes names cannot be kept to types; leave them out")
        for block, found in self._found(mentions, items):
            yield [self._link(mention, each, k) for mention, each in zip(block, found, strict=True)]

    def prompts(self, mentions: Sequence[Mention], pictures: Pictures) -> list[Blocks]:
        """The prompts of mentions; counts the demonstrations."""
        keys = self.model.keys(mentions, pictures)
        shown = self.model.demonstrations.nearest(keys, self.options.demonstrations.count)
        prompts = self.asker(mentions, pictures.rows(), shown)
        self._counts["dropped"] += sum(prompt.dropped for prompt in prompts)
        self._counts["shown"] += sum(len(prompt.blocks) - 1 for prompt in prompts)
        return prompts

    def log_probabilities(
        self, mentions: Sequence[Mention], items: Sequence[Item], entity_rows: Sequence[Sequence[int]]
    ) -> list[np.ndarray]:
        """Of each mention's entities `entity_rows` the log-probability of its name, the best of its names."""
        prompts = self.prompts(mentions, self.model.pictures(items))
        found: list[np.ndarray] = []
        for start in range(0, len(mentions), self.options.at_once):
            rows = slice(start, start + self.options.at_once)
            wanted = [[self.names_of[entity_row] for entity_row in each] for each in entity_rows[rows]]
            every = sorted({name for names in wanted for each in names for name in each})
            place = {name: number for number, name in enumerate(every)}
            with torch.inference_mode():
                sums = self.search.of(self.model.model.embed(prompts[rows]), every)
            found += [
                np.array([max((row[place[name]] for name in each), default=-np.inf) for each in names])
                for row, names in zip(sums, wanted, strict=True)
            ]
        return found

    def ablations(self) -> dict[str, Linker]:
        return {"without_demonstrations": self.without_demonstrations()} if self.options.demonstrations.count else {}

    def without_demonstrations(self) -> GenerativeLinker:
        """The same linker that shows none."""
        bare = copy(self)
        bare.options = self.options.model_copy(
            update={"demonstrations": self.options.demonstrations.model_copy(update={"count": 0})}
        )
        bare._counts = Counter()
        return bare

    @property
    def figures(self) -> dict[str, Any]:
        """What was counted so far.

        Returns:
            `demonstrations`: those that were shown, and those that no context had room for. `searches`: mentions whose
            best names are certain, and those whose search was given up or was by beams; answers that were not found,
            whose ranks are bounds.
        """
        return {group: {name: self._counts[name] for name in names} for group, names in COUNTED.items()}

    def _noted(self) -> Iterator[Entity]:
        """Every entity, read once; its row is noted on the way."""
        for row, entity in enumerate(self.entities):
            self.row_of[entity.id] = row
            yield entity

    def _found(
        self,
        mentions: Sequence[Mention],
        items: Sequence[Item],
        progress: Progress | None = None,
        pictures: Pictures | None = None,
    ) -> Iterator[tuple[Sequence[Mention], list[Answers]]]:
        for start in range(0, len(mentions), CHUNK):
            chunk, these = mentions[start : start + CHUNK], slice(start, start + CHUNK)
            seen = (
                self.model.pictures(items[these]) if pictures is None else Pictures(*(each[these] for each in pictures))
            )
            prompts = self.prompts(chunk, seen)
            scored: dict[Hashable, ScoredName] = {}
            for first in range(0, len(chunk), self.options.at_once):
                rows = slice(first, first + self.options.at_once)
                yield chunk[rows], self._answers(chunk[rows], items[start : start + CHUNK][rows], prompts[rows], scored)
                if progress is not None:
                    progress(len(chunk[rows]))

    def _answers(
        self,
        mentions: Sequence[Mention],
        items: Sequence[Item],
        prompts: Sequence[Blocks],
        scored: dict[Hashable, ScoredName],
    ) -> list[Answers]:
        """`scored` has what was found after earlier prompts, by their content: templates without pictures repeat."""
        contents = [prompt.content for prompt in prompts]
        new = {content: prompt for content, prompt in zip(contents, prompts, strict=True) if content not in scored}
        if new:
            with torch.inference_mode():
                embedded = self.model.model.embed(list(new.values()))
            scored.update(zip(new, self.search(embedded), strict=True))
        found = [scored[content] for content in contents]
        self._counts["exact"] += sum(each.exact for each in found)
        self._counts["inexact"] += sum(not each.exact for each in found)
        return [self._of_entities(*four) for four in zip(mentions, items, prompts, found, strict=True)]

    def _of_entities(self, mention: Mention, item: Item, prompt: Blocks, found: ScoredName) -> Answers:
        """Entities from names, best first, with their scores; the first of an entity's names counts."""
        best: dict[int, float] = {}
        gold = self.row_of.get(str(mention.answer), -1)
        for place, (number, score) in enumerate(zip(found.names.tolist(), found.scores.tolist(), strict=True)):
            owners = [row for row in self.names.owners[number] if row not in best]
            if len(owners) > 1 and (place < self.options.best_names or gold in owners):
                owners = self.homonyms.ordered(mention, item, prompt, self.names.texts[number], owners)
                best |= {row: score - APART * behind for behind, row in enumerate(owners)}
            else:
                best |= dict.fromkeys(owners, score)
        rows, values = np.array(list(best), np.int64), np.array(list(best.values()))
        order = np.lexsort((rows, -values))
        return Answers(rows[order], values[order])

    def _rank(self, mention: Mention, found: Answers) -> Ranks:
        """Exact where the answer is found; else between the last that was found and the last of all."""
        place = np.flatnonzero(found.rows == self.row_of[str(mention.answer)])
        if len(place):
            score = found.scores[place[0]]
            bounds = 1 + int((found.scores > score).sum()), int((found.scores >= score).sum())
        else:
            self._counts["not_found"] += 1
            bounds = len(found.rows) + 1, len(self.entities)
        return Ranks(np.array(bounds[:1]), np.array(bounds[1:]))

    def _link(self, mention: Mention, found: Answers, k: int) -> Link:
        languages = self.languages.after(mention.language)
        entities = (self.entities[row] for row in found.rows[:k].tolist())
        candidates = [
            Candidate(id=entity.id, name=entity.name_in(languages), score=score)
            for entity, score in zip(entities, found.scores[:k].tolist(), strict=True)
        ]
        link = Link(
            id=mention.id, start=mention.start, end=mention.end, surface=mention.surface, candidates=tuple(candidates)
        )
        return check_link(link, self.knowledge_base.directory)


def _key(directory: Path, aliases: bool) -> str:
    """The name of the directory in which the trie of these names is kept."""
    return hashlib.sha256(f"{directory.resolve()} {aliases}".encode()).hexdigest()[:16]
