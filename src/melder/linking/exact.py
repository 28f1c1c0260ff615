"""The exact linker: every mention against every entity, a block of mentions and of entities at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from melder.data import DataSet, mention_items
from melder.data.items import MentionPictures
from melder.evaluation.ranks import join, rank_of
from melder.features import Side
from melder.kb import KnowledgeBase
from melder.linking.best import Best
from melder.linking.certified import CERTIFIED_FROM, Certified, certifiable
from melder.linking.gold import gold_columns
from melder.linking.model import CHUNK, MENTIONS, Model, score_blocks
from melder.linking.nil import LOOKED_AT, Nil, of_best
from melder.linking.query import Answering
from melder.linking.search import Search
from melder.linking.sources import EncodedData, Source
from melder.protocols import Progress
from melder.records import Candidate, Entity, Item, Link, Mention, Ranks

__all__ = ["ExactLinker", "Files"]

PRUNED = 2  # wanted candidates: of so few, bounds rule out most entities
HELD = 1 << 26  # scores that are held for ranks: 256 MB


class Files:
    """Where mentions of no data set have their pictures: in the files that they name."""

    def mention_image(self, path: str) -> Path:
        return Path(path)


class ExactLinker(Answering):
    """Links mentions to the entities of a data set, or of a knowledge base, without any approximation.

    The entities of a data set are encoded when the linker is made (`progress` is told how many are done); those of a
    knowledge base were, with this model, when it was built. Mentions given as records name their pictures within
    `data`, by default the data set of the entities; without any data set they name files. `nil` gives the links their
    NIL probabilities.
    """

    def __init__(
        self,
        model: Model,
        knowledge_base: DataSet | KnowledgeBase,
        *,
        data: DataSet | None = None,
        modalities: Sequence[str] = ("text", "image"),
        progress: Progress | None = None,
        nil: Nil | None = None,
    ) -> None:
        self.model = model.eval()
        self.nil = nil
        self.search: Search | None = None  # finds the links instead of scoring all entities; ranks stay exact
        self.knowledge_base = knowledge_base
        self.data = knowledge_base if data is None and isinstance(knowledge_base, DataSet) else data
        self._pictures: MentionPictures = Files() if self.data is None else self.data
        self.modalities = frozenset(modalities)
        self.entities: Sequence[Entity] = knowledge_base.entities
        self.source: Source
        if isinstance(knowledge_base, DataSet):
            self.source, self._at_once = EncodedData(model, knowledge_base, self.modalities, progress), MENTIONS
        else:
            self.source, self._at_once = knowledge_base, CHUNK  # each pass over its blocks reads them from the disk

    def ranks(self, mentions: Sequence[Mention]) -> Ranks:
        """Exact ranks of the answers of mentions that all have one."""
        return self.links_and_ranks(mentions, 1)[1]

    def links_and_ranks(
        self, mentions: Sequence[Mention], k: int, progress: Progress | None = None
    ) -> tuple[list[Link], Ranks]:
        """Links of all the mentions, and the exact ranks of the answers of those that have one, in one pass."""
        gold = self.gold([mention for mention in mentions if mention.answer is not None])
        if self._wanted(k) <= PRUNED and len(self.source) >= CERTIFIED_FROM and certifiable(self.model.matcher):
            return self._certified(mentions, gold, k, progress)
        links, ranks, done = list[Link](), list[Ranks](), 0
        at_once = max(1, min(self._at_once, HELD // max(1, len(self.source))))
        items = self.items(mentions)
        for block, side in self._encoded(mentions, items, at_once):
            totals = torch.empty(len(block), len(self.source))
            these = items[len(links) : len(links) + len(block)]
            links += self._links(block, these, self._search(side, k, totals), k)
            rows = [row for row, mention in enumerate(block) if mention.answer is not None]
            ranks.append(rank_of(totals[rows], gold[done : done + len(rows)]))
            done += len(rows)
            if progress is not None:
                progress(len(block))
        return links, join(ranks)

    def _certified(
        self, mentions: Sequence[Mention], gold: Tensor, k: int, progress: Progress | None
    ) -> tuple[list[Link], Ranks]:
        """The same, scoring only the entities that could be among the best or ahead of the answer."""
        search = Certified.build(self.model.matcher, self.source)
        links, ranks, done = list[Link](), list[Ranks](), 0
        items = self.items(mentions)
        for block, side in self._encoded(mentions, items, CHUNK):
            links += self._links(block, items[len(links) : len(links) + len(block)], search.best(side, k), k)
            rows = [row for row, mention in enumerate(block) if mention.answer is not None]
            ranks.append(search.ranks(side.take(torch.tensor(rows)), gold[done : done + len(rows)]))
            done += len(rows)
            if progress is not None:
                progress(len(block))
        return links, join(ranks)

    def answers(self, mentions: Sequence[Mention], items: Sequence[Item], k: int) -> Iterator[list[Link]]:
        """Links of a few mentions at a time, in order; `items` are what the encoder is to read of them."""
        done = 0
        for block, side in self._encoded(mentions, items, self._at_once):
            yield self._links(block, items[done : done + len(block)], self._search(side, k), k)
            done += len(block)

    def best(self, mentions: Side, k: int) -> list[Best]:
        """At least the k best entities of mentions by their sides, for some of the mentions each."""
        return self._search(mentions, k)

    def items(self, mentions: Sequence[Mention]) -> list[Item]:
        """What the encoder reads of mentions whose pictures lie in the data set, or are files without one."""
        return mention_items(mentions, self._pictures, self.model.encoder.separator, modalities=self.modalities)

    def item(self, mention: Mention, image: str | Path | bytes | None) -> Item:
        """What the encoder reads of a mention with a picture from anywhere."""
        item = self.items([mention.model_copy(update={"image": None})])[0]
        shown = Path(image) if isinstance(image, str) else image
        return Item(item.text, shown if "image" in self.modalities else None, item.surfaces)

    def gold(self, mentions: Sequence[Mention]) -> Tensor:
        """[mentions] columns of the answers; an answer that is not among the entities is an error."""
        known = self.source.columns(list({str(mention.answer) for mention in mentions}))
        return torch.tensor(gold_columns(mentions, known), dtype=torch.long)

    def _encoded(
        self, mentions: Sequence[Mention], items: Sequence[Item], at_once: int
    ) -> Iterator[tuple[Sequence[Mention], Side]]:
        for start in range(0, len(mentions), CHUNK):
            chunk = mentions[start : start + CHUNK]
            side = self.model.mention_side(items[start : start + CHUNK])
            for first in range(0, len(chunk), at_once):
                yield chunk[first : first + at_once], side.take(slice(first, first + at_once))

    def _search(self, mentions: Side, k: int, totals: Tensor | None = None) -> list[Best]:
        """At least the k best entities, for `MENTIONS` mentions each; `totals` [mentions, entities] is filled."""
        wanted = self._wanted(k)
        if self.search is not None and totals is None:
            return self.search.best(mentions, min(wanted, len(self.source)))
        best = [Best(min(MENTIONS, mentions.rows - start), wanted) for start in range(0, mentions.rows, MENTIONS)]
        for first, side in self.source.blocks():
            for rows, scores in score_blocks(self.model.matcher, mentions, side.to(self.model.device)):
                best[rows.start // MENTIONS].update(first, scores.total, self.model.matcher.contributions(scores))
                if totals is not None:
                    totals[rows, first : first + side.rows] = scores.total
        return best

    def _wanted(self, k: int) -> int:
        return k if self.nil is None else max(k, LOOKED_AT)

    def _links(self, mentions: Sequence[Mention], items: Sequence[Item], best: Sequence[Best], k: int) -> list[Link]:
        found = [(each, row) for each in best for row in range(len(each.columns))]
        return [self._link(*three, k) for three in zip(mentions, items, found, strict=True)]

    def _link(self, mention: Mention, item: Item, found: tuple[Best, int], k: int) -> Link:
        best, row = found
        entities = self.source.records(best.columns[row, :k].tolist())
        totals, parts = best.totals[row].tolist(), {name: part[row].tolist() for name, part in best.parts.items()}
        candidates = [
            Candidate(
                id=entity.id, name=entity.name, score=totals[n], units={name: part[n] for name, part in parts.items()}
            )
            for n, entity in enumerate(entities)
        ]
        return Link(
            id=mention.id,
            start=mention.start,
            end=mention.end,
            surface=mention.surface,
            nil_probability=self.nil and self.nil.probability(of_best(best, row), item.image is not None),
            candidates=tuple(candidates),
        )
