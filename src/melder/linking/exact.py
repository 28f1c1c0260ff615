"""The exact linker: every mention against every entity, a block of mentions and of entities at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

from melder.data import DataSet
from melder.features import Side
from melder.kb import KnowledgeBase
from melder.linking.gold import gold_rows
from melder.linking.learning import Learning
from melder.linking.linker import check_link
from melder.linking.mention_data import data_of_mentions
from melder.linking.nil_calibration import NIL_TOP_K, Nil, of_best
from melder.metrics.ranks import join, rank_of
from melder.protocols import Progress
from melder.records import Candidate, Entity, Item, Link, MelderError, Mention, Ranks
from melder.runs.model import CHUNK, MENTIONS, Model, mention_side_of, score_blocks
from melder.runs.streaming import streamed
from melder.search.bounded import CERTIFIED_FROM, BoundedSearch
from melder.search.entity_store import EncodedEntities, EntityStore, SideStore, SubsetSides
from melder.search.exemplars.memory import UNIT, adjustments_of
from melder.search.exemplars.search import ExemplarSearch
from melder.search.filters import AskedTypes, EntityFilter, Types, types_of_each
from melder.search.resolver import Search
from melder.search.topk import TopK

__all__ = ["ExactLinker"]

MAX_K_BOUNDED = 2  # wanted candidates: of so few, bounds rule out most entities
TYPES = 32  # of which the entities are remembered: 8 bytes each of them
RECORDS = 4096  # entities that are read together
SCORE_BUFFER = 1 << 26  # scores that are held for ranks: 256 MB

# Of the sides of a block of mentions the best k entities, and of its rows [r] the ranks of the entities gold [r].
BestAndRanks = Callable[[Side, int, Tensor, Tensor], tuple[list[TopK], Ranks]]
BestOfMention = tuple[TopK, int]  # the best entities of some mentions, and which of the rows is this mention's


class ExactLinker(Learning):
    """Links mentions to the entities of a data set, or of a knowledge base, without any approximation.

    The entities of a data set are encoded when the linker is made; those of a knowledge base were when it was built.

    Args:
        model: With which a knowledge base must have been built.
        knowledge_base: The entities.
        data: Within which mentions name their pictures; None = that of the entities, else they name files.
        modalities: What is read of entities and mentions.
        progress: Is told of entities.
        nil: Gives the links their NIL probabilities.
    """

    model: Model
    has_candidates = explains = calibrates = True

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
        self.knowledge_base: DataSet | KnowledgeBase = knowledge_base
        self.data, self.pictures = data_of_mentions(data, knowledge_base)
        self.modalities = frozenset(modalities)
        self._asked: dict[Types, EntityFilter] = {}
        self.entities: Sequence[Entity] = knowledge_base.entities
        self.source: EntityStore
        if knowledge_base.has_sides:
            self.source = cast(KnowledgeBase, knowledge_base)
            self._at_once = CHUNK  # each pass over its blocks reads them from the disk
        else:
            dataset = cast(DataSet, knowledge_base)
            self.source, self._at_once = EncodedEntities(model, dataset, self.modalities, progress), MENTIONS
        self.exemplars = self.source.exemplars

    @property
    def pictures_read(self) -> int:  # type: ignore[override]
        return self.model.matcher.pictures

    def entity(self, identity: str) -> Entity | None:
        row = self.source.rows([identity]).get(identity)
        return None if row is None else self.source.records([row])[0]

    def close(self) -> None:
        self.search = None  # which maps its own files
        self.knowledge_base.close()

    def ranks(self, mentions: Sequence[Mention]) -> Ranks:
        """Exact ranks of the answers of mentions that all have one."""
        return self.links_and_ranks(mentions, 1)[1]

    def links_and_ranks(
        self, mentions: Sequence[Mention], k: int, progress: Progress | None = None
    ) -> tuple[list[Link], Ranks]:
        """Links of all the mentions, and the exact ranks of the answers of those that have one, in one pass."""
        gold = self.gold([mention for mention in mentions if mention.answer is not None])
        at_once, best_and_ranks = self._exactly()
        bounded = len(self.source) >= CERTIFIED_FROM and self.model.matcher.has_bounds and self.memory is None
        if self._wanted(k) <= MAX_K_BOUNDED and bounded:
            at_once, best_and_ranks = self._certified()
        links, ranks, items = list[Link](), list[Ranks](), self.items(mentions)
        for block, side in self._encoded(mentions, items, at_once):
            these = items[len(links) : len(links) + len(block)]
            rows = torch.tensor([row for row, each in enumerate(block) if each.answer is not None], dtype=torch.long)
            best, found = best_and_ranks(side, k, rows, gold[: len(rows)])
            links += self._links(block, these, _rows(best), k)
            ranks.append(found)
            gold = gold[len(rows) :]
            if progress is not None:
                progress(len(block))
        return links, join(ranks)

    def _exactly(self) -> tuple[int, BestAndRanks]:
        def best_and_ranks(side: Side, k: int, rows: Tensor, gold: Tensor) -> tuple[list[TopK], Ranks]:
            totals = torch.empty(side.rows, len(self.source))
            return self._search(side, k, totals), rank_of(totals[rows], gold)

        return max(1, min(self._at_once, SCORE_BUFFER // max(1, len(self.source)))), best_and_ranks

    def _certified(self) -> tuple[int, BestAndRanks]:
        """The same, scoring only the entities that could be among the best or ahead of the answer."""
        search = BoundedSearch.build(self.model.matcher, self.source)

        def best_and_ranks(side: Side, k: int, rows: Tensor, gold: Tensor) -> tuple[list[TopK], Ranks]:
            return search.best(side, k), search.ranks(side.take(rows), gold)

        return CHUNK, best_and_ranks

    def answers(
        self, mentions: Sequence[Mention], items: Sequence[Item], k: int, types: AskedTypes = None
    ) -> Iterator[list[Link]]:
        done, wanted = 0, types_of_each(types, len(mentions))
        for block, side in self._encoded(mentions, items, self._at_once):
            rows = slice(done, done + len(block))
            yield self._links(block, items[rows], self._best_of_each(side, k, wanted[rows]), k)
            done += len(block)

    def best(self, mentions: Side, k: int, types: Types | None = None) -> list[TopK]:
        """At least the k best entities (of some types) of mentions by their sides, for some of the mentions each."""
        among, wanted = None if types is None else self._rows_of(types), self._wanted(k)
        if self.search is not None:
            return self._searched(self.search, mentions, min(wanted, len(self.source)), among)
        if among is None:
            return self._search(mentions, k)
        rows = torch.from_numpy(among.rows)
        found = self._search(mentions, k, subset=rows)
        for each in found:
            each.rows = rows[each.rows]
        return found

    def _searched(self, search: Search, mentions: Side, k: int, among: EntityFilter | None) -> list[TopK]:
        added = adjustments_of(mentions)
        if added is None or self.memory is None:
            return search.best(mentions, k, among)
        return ExemplarSearch(search, self.model.matcher, self.source, self.memory).best(mentions, added, k, among)

    def _best_of_each(self, mentions: Side, k: int, types: Sequence[Types | None]) -> list[BestOfMention]:
        """`best` for each mention with its own types; those of the same types are searched together."""
        rows_of: dict[Types | None, list[int]] = {}
        for row, wanted in enumerate(types):
            rows_of.setdefault(wanted, []).append(row)
        if len(rows_of) == 1:
            return _rows(self.best(mentions, k, types[0]))
        best: dict[int, BestOfMention] = {}
        for wanted, rows in rows_of.items():
            best.update(zip(rows, _rows(self.best(mentions.take(torch.tensor(rows)), k, wanted)), strict=True))
        return [best[row] for row in range(mentions.rows)]

    def known_types(self, types: Sequence[str]) -> Types | None:
        for each in types:
            if not len(self._rows_of(Types((each,))).rows):
                raise MelderError(f"no entity has the type {each!r}; write it as the entities' records do")
        return Types(tuple(types)) if types else None

    def gold(self, mentions: Sequence[Mention]) -> Tensor:
        """The rows [mentions] of the answers; an answer that is not among the entities is an error."""
        known = self.source.rows(list({str(mention.answer) for mention in mentions}))
        return torch.tensor(gold_rows(mentions, known), dtype=torch.long)

    def _encoded(
        self, mentions: Sequence[Mention], items: Sequence[Item], at_once: int
    ) -> Iterator[tuple[Sequence[Mention], Side]]:
        for start in range(0, len(mentions), CHUNK):
            chunk = mentions[start : start + CHUNK]
            side = self._side(items[start : start + CHUNK])
            for first in range(0, len(chunk), at_once):
                yield chunk[first : first + at_once], side.take(slice(first, first + at_once))

    def _side(self, items: Sequence[Item]) -> Side:
        """The side of a chunk of mentions, with what exemplars add to scores."""
        features = self.model.features(items)
        side = mention_side_of(self.model.matcher, [features])
        return side if self.memory is None else self.memory.beside(side, features)

    def _search(self, mentions: Side, k: int, totals: Tensor | None = None, subset: Tensor | None = None) -> list[TopK]:
        """At least the k best entities, for `MENTIONS` mentions each; `totals` [mentions, entities] is filled.

        With a `subset` of rows only these are scored, and a row is a place among them.
        """
        wanted, added = self._wanted(k), adjustments_of(mentions)
        sides: SideStore = self.source if subset is None else SubsetSides(self.source, subset)
        best = [TopK(min(MENTIONS, mentions.rows - start), wanted) for start in range(0, mentions.rows, MENTIONS)]
        for first, side in streamed(sides.blocks(), self.model.device):
            entity_rows = torch.arange(first, first + side.rows)
            entity_rows = entity_rows if subset is None else subset[entity_rows]
            for rows, scores in score_blocks(self.model.matcher, mentions, side):
                total, units = scores.total, self.model.matcher.contributions(scores)
                if added is not None and self.memory is not None:
                    units = {**units, UNIT: self.memory.added_to(entity_rows, added[rows])}
                    total = total + units[UNIT]
                best[rows.start // MENTIONS].update(first, total, units)
                if totals is not None:
                    totals[rows, first : first + side.rows] = total
        return best

    def _rows_of(self, types: Types) -> EntityFilter:
        """The entities of these types, which are looked up once for many mentions."""
        if types not in self._asked:
            if len(self._asked) >= TYPES:
                self._asked.clear()
            self._asked[types] = EntityFilter(types, self.source)
        return self._asked[types]

    def _wanted(self, k: int) -> int:
        return k if self.nil is None else max(k, NIL_TOP_K)

    def _links(
        self, mentions: Sequence[Mention], items: Sequence[Item], best: Sequence[BestOfMention], k: int
    ) -> list[Link]:
        """Each entity is read once for some mentions together."""
        links, at_once = list[Link](), max(1, RECORDS // max(1, k))
        for start in range(0, len(mentions), at_once):
            rows = slice(start, start + at_once)
            entity_rows = sorted(
                {entity_row for block, row in best[rows] for entity_row in block.rows[row, :k].tolist()}
            )
            entities = dict(zip(entity_rows, self.source.records(entity_rows), strict=True))
            answers = zip(mentions[rows], items[rows], best[rows], strict=True)
            links += [self._link(*answer, k, entities) for answer in answers]
        return links

    def _link(self, mention: Mention, item: Item, found: BestOfMention, k: int, entities: Mapping[int, Entity]) -> Link:
        best, row = found
        languages = self.languages.after(mention.language)
        totals, parts = best.totals[row].tolist(), {name: part[row].tolist() for name, part in best.parts.items()}
        candidates = [
            Candidate(
                id=entities[entity_row].id,
                name=entities[entity_row].name_in(languages),
                score=totals[n],
                units={name: part[n] for name, part in parts.items()},
            )
            for n, entity_row in enumerate(best.rows[row, :k].tolist())
        ]
        link = Link(
            id=mention.id,
            start=mention.start,
            end=mention.end,
            surface=mention.surface,
            nil_probability=self.nil and self.nil.probability(of_best(best, row), item.image is not None),
            candidates=tuple(candidates),
        )
        return check_link(link, self.knowledge_base.directory)


def _rows(best: Sequence[TopK]) -> list[BestOfMention]:
    return [(block, row) for block in best for row in range(len(block.rows))]
