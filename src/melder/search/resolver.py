"""Searches: ways to the best entities of a mention that do not score every entity, chosen by name.

certified                   the full matcher on all entities that could be among the best, and on no others
flat, hnsw, faiss:FACTORY,  two stages: candidates by vectors and by names, then the full matcher on these; the name is
milvus:URI                  that of an index
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from melder.features import Side
from melder.protocols import Counting, Matcher
from melder.registry import Entry, Registry
from melder.search.entity_store import SideStore
from melder.search.filters import EntityFilter
from melder.search.hybrid import HybridIndex
from melder.search.indexes import INDEXES
from melder.search.topk import TopK

__all__ = ["FLAT", "SEARCHES", "NamedSearch", "Search", "SearchClass", "build_search", "find_kind"]


class Search(Protocol):
    """Finds the best entities of mentions by their sides; `scored` pairs have had the full matcher's score so far."""

    scored: int

    def best(self, mentions: Side, k: int, among: EntityFilter | None = None) -> list[TopK]:
        """One a mention, in order; fewer than k rows where there are no more candidates.

        Args:
            among: Only of these entities; None = of all.
        """
        ...


class SearchClass(Protocol):
    """What makes a search of a kind, over parts that together are all entities."""

    def __call__(self, matcher: Matcher, source: SideStore, parts: Any) -> Search: ...

    def indexed(
        self, matcher: Matcher, source: SideStore, index: str, counting: Counting | None = None
    ) -> HybridIndex[Any]:
        """All entities of the source in an index of this name, whose places are the rows there.

        Raises:
            MelderError: The matcher or what is installed does not allow it.
        """
        ...

    def entity_vectors(self, matcher: Matcher, side: Side) -> Tensor:
        """[n, d]: what it indexes of entities."""
        ...


SEARCHES = Registry[SearchClass](
    "search",
    "melder.searches",
    (Entry("certified", "melder.search.bounded:BoundedSearch", "exact: all entities that could be among the best"),),
)
_TWO_STAGES = Entry("two stages", "melder.search.two_stage:TwoStage")
FLAT = "flat"


@dataclass(frozen=True)
class NamedSearch:
    """What a name means: a kind of search, and the index that it is to have."""

    kind: SearchClass
    index: str


def find_kind(name: str) -> NamedSearch:
    """Raises MelderError for the name of no search."""
    if name in SEARCHES:
        return NamedSearch(SEARCHES.get(name), FLAT)
    if INDEXES.name_in(name) not in INDEXES:
        raise SEARCHES.unknown(name, [*SEARCHES.names(), *INDEXES.names()], INDEXES.form)
    return NamedSearch(SEARCHES.load(_TWO_STAGES), name)


def build_search(name: str, matcher: Matcher, source: SideStore, counting: Counting | None = None) -> Search:
    """The search of this name over the entities of `source`, whose sides are read once for it.

    Raises:
        MelderError: An unknown name, and when the matcher or what is installed does not allow it.
    """
    named = find_kind(name)
    return named.kind(matcher, source, [named.kind.indexed(matcher, source, named.index, counting)])
