"""A second stage over any linker: its first candidates, ordered anew by the scores of both.

Scores are fused as `melder.metrics.fusion` says. Candidates beyond the first `top` keep the first stage's order behind
them. Where the second stage says how probable it is that no candidate is right, and the first stage does too, the
log-odds of both are fused with the same weight; where only one does, its word stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from melder.languages import Languages
from melder.linking.linker import BaseLinker, first_candidates
from melder.linking.second_stage import Opinion, SecondStage
from melder.metrics.fusion import StageScores, fused_parts
from melder.metrics.ranks import join, rank_among
from melder.protocols import Linker, Progress
from melder.records import Candidate, Entity, Item, Link, MelderError, Mention, Ranks
from melder.search.filters import AskedTypes, types_of_each

__all__ = ["RerankingLinker"]

CHUNK = 64  # mentions that go from one stage to the next together
CERTAIN = 1e-12  # a probability so near 0 or 1 has finite log-odds


class RerankingLinker(BaseLinker):
    """Links with `first`, then orders its `top` first candidates anew.

    Args:
        first: The first stage, any linker.
        second: The second stage.
        top: Candidates that the second stage reads.
        weight: Of the second stage's score, from 0 (the first stage's order) to 1 (the second's).
        name: What the first stage's part of a score is called in a candidate's `units`.
    """

    model: Any
    has_comparable_scores = False  # they are log-probabilities among a mention's own candidates

    def __init__(
        self, first: Linker, second: SecondStage, *, top: int, weight: float, name: str = "first_stage"
    ) -> None:
        self.first, self.second = first, second
        self.top, self.weight, self.name = top, weight, name
        reader: Any = first if second.reader is None else second.reader
        self.model, self.modalities, self.pictures = reader.model, reader.modalities, reader.pictures
        self.knowledge_base, self.data = reader.knowledge_base, reader.data
        self._own_reader = second.reader is not None

    @property
    def has_candidates(self) -> bool:  # type: ignore[override]
        return self.first.has_candidates and not self._own_reader

    @property
    def explains(self) -> bool:  # type: ignore[override]
        return self.first.explains and not self._own_reader

    @property
    def pictures_read(self) -> int:  # type: ignore[override]
        return 1 if self._own_reader else self.first.pictures_read

    @property
    def search(self) -> Any:
        """What finds the first stage's links (`has_candidates`)."""
        return self.first.search  # type: ignore[attr-defined]

    @search.setter
    def search(self, search: Any) -> None:
        self.first.search = search  # type: ignore[attr-defined]

    @property
    def source(self) -> Any:
        """The entities that the first stage searches (`has_candidates`)."""
        return self.first.source  # type: ignore[attr-defined]

    @property
    def figures(self) -> Mapping[str, Any]:
        look = {"stage": self.second.name, "top": self.top, "weight": self.weight}
        return {**self.first.figures, "second_stage": look}

    def ablations(self) -> Mapping[str, Linker]:
        return {**self.first.ablations(), "without_second_stage": self.first}

    def seen_as(self, surface: str, identities: Sequence[str]) -> Mapping[str, str]:
        return self.first.seen_as(surface, identities)

    def entity(self, identity: str) -> Entity | None:
        return self.first.entity(identity)

    def name_in(self, languages: Languages) -> None:
        self.first.name_in(languages)
        self.second.name_in(languages)

    def close(self) -> None:
        self.first.close()
        self.second.close()

    def ranks(self, mentions: Sequence[Mention]) -> Ranks:
        """Exact ranks of the answers of mentions that all have one."""
        return self.links_and_ranks(mentions, 1)[1]

    def links_and_ranks(
        self, mentions: Sequence[Mention], k: int, progress: Progress | None = None
    ) -> tuple[list[Link], Ranks]:
        """Links of all the mentions, and the ranks of the answers of those that have one, in one pass."""
        links, ranks = list[Link](), list[Ranks]()
        for start in range(0, len(mentions), CHUNK):
            block = mentions[start : start + CHUNK]
            before, first_ranks = self.first.links_and_ranks(block, max(k, self.top))
            after = list(self._fused(block, self.items(block), before, progress))
            ranks.append(self._ranks(block, after, first_ranks))
            links += [first_candidates(link, k) for link in after]
        return links, join(ranks)

    def known_types(self, types: Sequence[str]) -> Any:
        return self.first.known_types(types)

    def answers(
        self, mentions: Sequence[Mention], items: Sequence[Item], k: int, types: AskedTypes = None
    ) -> Iterator[list[Link]]:
        wanted = types_of_each(types, len(mentions))
        for start in range(0, len(mentions), CHUNK):
            rows = slice(start, start + CHUNK)
            block, read = mentions[rows], items[rows]
            own = self._first_items(block, read)
            before = [
                link for links in self.first.answers(block, own, max(k, self.top), wanted[rows]) for link in links
            ]
            yield [first_candidates(link, k) for link in self._fused(block, read, before)]

    def stage_scores(self, mentions: Sequence[Mention], progress: Progress | None = None) -> list[StageScores]:
        """What both stages say of the first candidates of mentions, from which the weight can be learned."""
        scores = list[StageScores]()
        for start in range(0, len(mentions), CHUNK):
            block = mentions[start : start + CHUNK]
            links, _ = self.first.links_and_ranks(block, self.top)
            opinions = self._opinions(block, self.items(block), links, progress)
            triples = zip(block, links, opinions, strict=True)
            scores += [_scores(mention, link, opinion) for mention, link, opinion in triples]
        return scores

    def _first_items(self, mentions: Sequence[Mention], items: Sequence[Item]) -> Sequence[Item]:
        """What the first stage reads of mentions with the pictures of `items`."""
        if not self._own_reader:
            return items
        return [self.first.item(mention, item.images) for mention, item in zip(mentions, items, strict=True)]

    def _fused(
        self,
        mentions: Sequence[Mention],
        items: Sequence[Item],
        links: Sequence[Link],
        progress: Progress | None = None,
    ) -> Iterator[Link]:
        opinions = self._opinions(mentions, items, links, progress)
        return (self._link(link, opinion) for link, opinion in zip(links, opinions, strict=True))

    def _opinions(
        self,
        mentions: Sequence[Mention],
        items: Sequence[Item],
        links: Sequence[Link],
        progress: Progress | None = None,
    ) -> Iterator[Opinion]:
        for start in range(0, len(mentions), self.second.at_once):
            rows = slice(start, start + self.second.at_once)
            candidates = [self._entities(link) for link in links[rows]]
            opinions = self.second.opinions(mentions[rows], items[rows], candidates)
            yield from map(self._checked, mentions[rows], opinions)
            if progress is not None:
                progress(len(mentions[rows]))

    def _checked(self, mention: Mention, opinion: Opinion) -> Opinion:
        """The opinion, if its scores are numbers: what is NaN would otherwise pass for what a stage cannot say."""
        if np.isnan(opinion.scores).any() or (opinion.nil is not None and math.isnan(opinion.nil)):
            raise MelderError(
                f"mention {mention.id!r}: the second stage {self.second.name!r} has a score that is NaN; its model is "
                "damaged, or needs rerank.precision=float32"
            )
        return opinion

    def _entities(self, link: Link) -> list[Entity]:
        """The records of the candidates that are read."""
        records = [self.first.entity(candidate.id) for candidate in link.candidates[: self.top]]
        if any(record is None for record in records):
            raise MelderError(f"mention {link.id!r}: a candidate is no longer in the knowledge base; open it again")
        return [record for record in records if record is not None]

    def _link(self, link: Link, opinion: Opinion) -> Link:
        """The candidates in their new order; each says what both stages add to its score."""
        top, rest = link.candidates[: self.top], link.candidates[self.top :]
        first, second = fused_parts(_array(top), opinion.scores, self.weight)
        worst = float(min(first + second, default=0.0))
        below = rest[0].score if rest else 0.0
        fused = [
            candidate.model_copy(
                update={"score": float(a + b), "units": {self.name: float(a), self.second.name: float(b)}}
            )
            for candidate, a, b in zip(top, first, second, strict=True)
        ]
        fused.sort(key=lambda candidate: -candidate.score)  # stable: of ties the first stage's order
        after = [
            candidate.model_copy(update={"score": worst - 1 + candidate.score - below, "units": {}})
            for candidate in rest
        ]
        nil = _fused_nil(link.nil_probability, opinion.nil, self.weight)
        return link.model_copy(update={"candidates": (*fused, *after), "nil_probability": nil})

    def _ranks(self, mentions: Sequence[Mention], links: Sequence[Link], before: Ranks) -> Ranks:
        """Among the candidates by the fused score; behind them by the first stage's."""
        pairs = []
        earlier = iter(zip(before.optimistic.tolist(), before.pessimistic.tolist(), strict=True))
        for mention, link in zip(mentions, links, strict=True):
            if mention.answer is None:
                continue
            low, high = next(earlier)
            pairs.append(_rank(mention.answer, link.candidates[: self.top]) or (max(low, self.top + 1), high))
        optimistic, pessimistic = np.array(pairs, np.int64).reshape(-1, 2).T
        return Ranks(optimistic, pessimistic)


def _rank(answer: str, candidates: Sequence[Candidate]) -> tuple[int, int] | None:
    place = next((place for place, candidate in enumerate(candidates) if candidate.id == answer), None)
    return None if place is None else rank_among(_array(candidates), place)


def _scores(mention: Mention, link: Link, opinion: Opinion) -> StageScores:
    identities = [candidate.id for candidate in link.candidates]
    gold = identities.index(str(mention.answer)) if mention.answer in identities else None
    return StageScores(_array(link.candidates), opinion.scores, gold)


def _array(candidates: Sequence[Candidate]) -> np.ndarray:
    return np.array([candidate.score for candidate in candidates], np.float64)


def _fused_nil(first: float | None, second: float | None, weight: float) -> float | None:
    """A probability, of one and the log-odds of the other."""
    if second is None:
        return first
    if first is None:
        odds = second
    else:
        bounded = min(max(first, CERTAIN), 1 - CERTAIN)
        odds = (1 - weight) * math.log(bounded / (1 - bounded)) + weight * second
    return 1 / (1 + math.exp(-min(max(odds, -700.0), 700.0)))
