"""GEMEL as a second stage: the best candidates of a matching linker, ordered by the scores of both.

For the k best candidates of the matching linker with scores s_1 … s_k there, and log-probabilities l_1 … l_k of their
names, the fused score of a candidate is

    (1 - w) * log softmax(s)_i + w * log softmax(l)_i

so that both are log-probabilities over the same k candidates, whatever the scale of s. Candidates beyond the k keep
the matching linker's order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from melder.languages import Languages
from melder.linking.generative import GenerativeLinker
from melder.linking.linker import BaseLinker, MatchingLinker
from melder.metrics.ranks import join
from melder.protocols import Progress
from melder.records import Candidate, Entity, Item, Link, Mention, Ranks
from melder.runs.gemel import Gemel
from melder.search.filters import AskedTypes, Types, types_of_each

__all__ = ["RerankingLinker"]

CHUNK = 64  # mentions that go from one stage to the next together
NAMELESS = 10.0  # how much less likely, as a logarithm, an entity without a name is than the least likely name


class RerankingLinker(BaseLinker):
    """Links with one linker, then orders its best candidates anew with another.

    Args:
        matching: Finds the candidates.
        generative: Of the same entities; scores them by their names.
        top: How many of the best it orders.
        weight: Of the generative score.
    """

    model: Gemel

    def __init__(self, matching: MatchingLinker, generative: GenerativeLinker, *, top: int, weight: float) -> None:
        self.matching, self.generative = matching, generative
        self.top, self.weight = top, weight
        self.model, self.modalities, self.pictures = generative.model, generative.modalities, generative.pictures
        self.knowledge_base, self.data = generative.knowledge_base, generative.data

    def entity(self, identity: str) -> Entity | None:
        return self.generative.entity(identity)

    def name_in(self, languages: Languages) -> None:
        self.matching.name_in(languages)
        self.generative.name_in(languages)

    def close(self) -> None:
        self.matching.close()
        self.generative.close()

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
            first, before = self.matching.links_and_ranks(block, max(k, self.top))
            found = self._fused(block, self.generative.items(block), first)
            ranks.append(self._ranks(block, found, before))
            links += [_cut(link, k) for link in found]
            if progress is not None:
                progress(len(block))
        return links, join(ranks)

    def known_types(self, types: Sequence[str]) -> Types | None:
        known: Types | None = self.matching.known_types(types)
        return known

    def answers(
        self, mentions: Sequence[Mention], items: Sequence[Item], k: int, types: AskedTypes = None
    ) -> Iterator[list[Link]]:
        wanted = types_of_each(types, len(mentions))
        for start in range(0, len(mentions), CHUNK):
            block, these = mentions[start : start + CHUNK], items[start : start + CHUNK]
            own = [self.matching.item(mention, item.images) for mention, item in zip(block, these, strict=True)]
            first = [
                link
                for part in self.matching.answers(block, own, max(k, self.top), wanted[start : start + CHUNK])
                for link in part
            ]
            yield [_cut(link, k) for link in self._fused(block, these, first)]

    def _fused(self, mentions: Sequence[Mention], items: Sequence[Item], links: Sequence[Link]) -> list[Link]:
        rows = [[self.generative.row_of[each.id] for each in link.candidates[: self.top]] for link in links]
        sums = self.generative.log_probabilities(mentions, items, rows)
        return [self._link(link, of_names) for link, of_names in zip(links, sums, strict=True)]

    def _link(self, link: Link, of_names: np.ndarray) -> Link:
        """The candidates in their new order; each says what both stages add to its score."""
        top, rest = link.candidates[: self.top], link.candidates[self.top :]
        first = (1 - self.weight) * _log_softmax(np.array([each.score for each in top]))
        second = self.weight * _log_softmax(_finite(of_names))
        worst = float(min(first + second, default=0.0))
        below = rest[0].score if rest else 0.0
        fused = [
            each.model_copy(update={"score": float(a + b), "units": {"matching": float(a), "generative": float(b)}})
            for each, a, b in zip(top, first, second, strict=True)
        ]
        fused.sort(key=lambda each: (-each.score, self.generative.row_of[each.id]))
        after = [each.model_copy(update={"score": worst - 1 + each.score - below, "units": {}}) for each in rest]
        return link.model_copy(update={"candidates": (*fused, *after)})

    def _ranks(self, mentions: Sequence[Mention], links: Sequence[Link], before: Ranks) -> Ranks:
        """Among the candidates by the fused score; behind them by the matching linker's."""
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
    gold = [each.score for each in candidates if each.id == answer]
    if not gold:
        return None
    scores = [each.score for each in candidates]
    return 1 + sum(score > gold[0] for score in scores), sum(score >= gold[0] for score in scores)


def _finite(sums: np.ndarray) -> np.ndarray:
    """An entity without a name has no log-probability: it counts as less likely than all that have one."""
    known = np.isfinite(sums)
    floor = sums[known].min() - NAMELESS if known.any() else 0.0
    return np.where(known, sums, floor)


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    return torch.from_numpy(scores).double().log_softmax(dim=0).numpy()


def _cut(link: Link, k: int) -> Link:
    return link.model_copy(update={"candidates": link.candidates[:k]})
