"""Two stages: candidates from an index of vectors and from the index of names, then the full matcher on these alone.

What neither index finds is never scored, so that the answer may differ from the exact one; how often it does is
measured (`melder.evaluation.overlap`), never assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import isqrt
from typing import cast

import numpy as np
import torch
from torch import Tensor

from melder.features import Scores, Side
from melder.io.scratch import ScratchRows
from melder.ops.largest import largest_of_array
from melder.protocols import Counting, Index, Matcher
from melder.records import MelderError
from melder.runs.model import answering
from melder.search.candidates import entity_vectors, mention_vectors, name_weights
from melder.search.entity_store import EntityStore, SideStore
from melder.search.filters import EntityFilter
from melder.search.hybrid import Candidates, HybridIndex
from melder.search.indexes import INDEXES, build_index
from melder.search.indexes.names import NameIndex
from melder.search.topk import TopK

__all__ = ["TwoStage", "best_of", "collect_index_inputs", "rerank"]

DENSE_K = 64  # candidates by vectors: at least so many, an eighth of the root of all there are, and the answers wanted
LEXICAL_K = 128  # candidates by names, or as many as answers are wanted
RERANK_K = 48  # of them that get the full score, or `AHEAD` times as many as answers are wanted
AHEAD = 3
RECORDS = 1000  # read together
PAIRS = 768  # of mentions and their candidates, whose sides are read together: a dozen megabytes
FEW = 1024  # entities of the types wanted that are all scored: some milliseconds a mention


class TwoStage:
    """The search; fulfils `melder.search.resolver.Search`.

    Args:
        matcher: Gives the full scores.
        source: The entities.
        parts: Who together are all entities; indexes of their `entity_vectors` and names.

    Attributes:
        near: Candidates by vectors that each part gives, or as many as answers are wanted.
        named: The same by names.
        kept: How many of all get the full score, or as many as answers are wanted.
        scored: How many pairs were scored since it was made.
    """

    def __init__(self, matcher: Matcher, source: SideStore, parts: Sequence[HybridIndex[Index | None]]) -> None:
        self.matcher = matcher
        self.source = source
        self.parts = parts
        self.near, self.named, self.kept = max(DENSE_K, isqrt(len(source)) // 8), LEXICAL_K, RERANK_K
        self.scored = 0

    @classmethod
    def build(cls, matcher: Matcher, source: SideStore, backend: str, counting: Counting | None = None) -> TwoStage:
        """Raises MelderError when the matcher has neither vectors nor names to search by."""
        return cls(matcher, source, [cls.indexed(matcher, source, backend, counting)])

    @classmethod
    def indexed(
        cls, matcher: Matcher, source: SideStore, index: str, counting: Counting | None = None
    ) -> HybridIndex[Index | None]:
        """All entities of the source, whose places are the rows there."""
        vectors, names = collect_index_inputs(matcher, source, lambda side: cls.entity_vectors(matcher, side), counting)
        types = _types(source) if INDEXES.resolve(index)[0].filters_types else None
        built = build_index(index, vectors, counting, types) if vectors.shape[1] else None
        if names is None and built is None:
            raise MelderError("this method has no vectors and no names to find candidates by: score all entities")
        return HybridIndex(built, names)

    @staticmethod
    def entity_vectors(matcher: Matcher, side: Side) -> Tensor:
        """[n, d]: what units hand out for a first stage."""
        return entity_vectors(matcher, side)

    def best(self, mentions: Side, k: int, among: EntityFilter | None = None) -> list[TopK]:
        """One a mention, in order; only of the entities `among` which it is to be.

        The sides of an entity are read once for all mentions of a group that have it among their candidates.
        """
        candidates = self.candidates(mentions, k, among)
        return [best for rows in _groups(candidates) for best in self._best(mentions.take(rows), candidates[rows], k)]

    def candidates(self, mentions: Side, k: int, among: EntityFilter | None = None) -> list[Candidates]:
        """For each mention, in ascending order: of each part the `near` best by vectors and the `named` best by names;
        of all these the `kept` best by both together, where the indexes tell.

        `among` few entities all are candidates: an index would have to be searched for many more to find them.
        """
        if among is not None and len(among.rows) <= FEW:
            return [Candidates(among.rows, None, None)] * mentions.rows
        parts = self.parts if among is None else [index.only(among, len(self.source)) for index in self.parts]
        queries = mention_vectors(self.matcher, mentions)
        near, named, weights = max(k, self.near), max(k, self.named), name_weights(self.matcher, mentions)
        found_by = [index.candidates(queries, mentions, near, named, weights) for index in parts]
        kept = max(AHEAD * k, self.kept)
        return [_most_likely(of_mention, kept) for of_mention in zip(*found_by, strict=True)]

    def _best(self, mentions: Side, candidates: Sequence[Candidates], k: int) -> list[TopK]:
        """Those of a group of mentions."""
        self.scored += sum(len(candidate_list.rows) for candidate_list in candidates)
        every = np.unique(np.concatenate([candidate_list.rows for candidate_list in candidates]))
        if not len(every):
            return [TopK(1, k) for _ in candidates]
        device = next(self.matcher.parameters()).device
        units = self.matcher.names_in_use(lexical=any(of_mention.cosines is None for of_mention in candidates))
        side = self.source.side(torch.from_numpy(every), units).to(device)
        with answering(self.matcher) as matcher:
            return [
                _best_of_mention(matcher, mentions.take(slice(row, row + 1)), every, side, of_mention, k)
                for row, of_mention in enumerate(candidates)
            ]


def _groups(candidates: Sequence[Candidates]) -> Iterator[slice]:
    """Slices of mentions that have `PAIRS` candidates together, or are one."""
    start, pairs = 0, 0
    for row, candidate_list in enumerate(candidates):
        pairs += len(candidate_list.rows)
        if pairs > PAIRS and row > start:
            yield slice(start, row)
            start, pairs = row, len(candidate_list.rows)
    if candidates:
        yield slice(start, len(candidates))


def _best_of_mention(
    matcher: Matcher, mention: Side, rows: np.ndarray, side: Side, candidates: Candidates, k: int
) -> TopK:
    """The k best of a mention's candidates, which are some of the ascending `rows` of `side`."""
    if not len(candidates.rows):
        return TopK(1, k)
    own = torch.from_numpy(candidates.rows)
    if len(own) < len(rows):
        side = side.take(torch.from_numpy(rows.searchsorted(candidates.rows)).to(side.device))
    cosines = None if candidates.cosines is None else torch.from_numpy(candidates.cosines)[None].to(side.device)
    return best_of(matcher, own, matcher.score(mention, side, cosines).cpu(), k)


def _most_likely(found: Sequence[Candidates], kept: int) -> Candidates:
    """In ascending order, the `kept` likeliest, or all where it is not known how likely they are."""
    every = found[0] if len(found) == 1 else Candidates(*map(_together, zip(*found, strict=True)))  # type: ignore[arg-type]
    every = every.take(np.argsort(every.rows))
    if every.likely is not None and len(every.rows) > kept:
        every = every.take(np.sort(largest_of_array(every.likely, kept)))
    return every


def _together(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """One after the other; None where any is."""
    there = [array for array in arrays if array is not None]
    return np.concatenate(there) if len(there) == len(arrays) else None


def _types(source: SideStore) -> list[tuple[str, ...]] | None:
    """Those of all entities, where they are known."""
    if not source.has_records:
        return None
    entities = cast(EntityStore, source)
    blocks = (range(start, min(start + RECORDS, len(source))) for start in range(0, len(source), RECORDS))
    return [entity.types for block in blocks for entity in entities.records(block)]


def collect_index_inputs(
    matcher: Matcher, source: SideStore, vectors_of: Callable[[Side], Tensor], counting: Counting | None = None
) -> tuple[Tensor, NameIndex | None]:
    """The vectors [n, d] of all entities on the CPU, and the index of their names (None where they are not compared).

    Each side is read once. What is too large for memory lies in a temporary file.

    Args:
        matcher: Whose lexical unit, if it has one, compares names.
        source: The entities.
        vectors_of: [n, d] of the side of n entities.
        counting: Starts a progress bar with a title and a total.

    Returns:
        Vectors, and names.
    """
    progress = counting("reading entities", len(source)) if counting is not None else None
    vectors = ScratchRows()

    def lexical() -> Iterator[Side]:
        for _, side in source.blocks():
            vectors.append(vectors_of(side).cpu().numpy())
            if progress is not None:
                progress(side.rows)
            yield side.part("lexical")

    if matcher.lexical is not None:
        names = NameIndex.build(lexical(), matcher.lexical.buckets)
        return torch.from_numpy(vectors.array()), names
    for _ in lexical():
        pass
    return torch.from_numpy(vectors.array()), None


def rerank(matcher: Matcher, source: SideStore, mention: Side, rows: Tensor, cosines: Tensor | None = None) -> Scores:
    """The full scores [1, rows] of one mention and some entities, on the CPU; with the `cosines` [1, rows] of
    their names, which need not be read then, where these are known.

    Args:
        matcher: Gives the scores.
        source: Of the entities.
        mention: The side of one.
        rows: [n] of entities.
        cosines: [1, n] of their names with the surface.

    Returns:
        Scores [1, n].
    """
    device = next(matcher.parameters()).device
    with answering(matcher):
        units = matcher.names_in_use(lexical=cosines is None)
        on_device = None if cosines is None else cosines.to(device)
        return matcher.score(mention, source.side(rows, units).to(device), on_device).cpu()


def best_of(matcher: Matcher, rows: Tensor, scores: Scores, k: int) -> TopK:
    """The k best of the scores [1, rows] of ascending `rows`.

    Args:
        matcher: Says what units contribute.
        rows: [n] of entities, ascending.
        scores: [1, n] of them.
        k: How many are wanted.

    Returns:
        The best, first.
    """
    best = TopK(1, k)
    best.update(0, scores.total, matcher.contributions(scores))
    best.rows = rows[best.rows]
    return best
