"""Searches: ways to the best entities of a mention that do not score every entity, chosen by name.

flat, hnsw, faiss:FACTORY,  two stages: candidates by vectors and by names, then the full matcher on these
milvus:URI
certified                   the full matcher on all entities that could be among the best, and on no others
"""

from __future__ import annotations

from typing import Protocol

from melder.features import Side
from melder.methods.matcher import UnitMatcher
from melder.protocols import Counting
from melder.records import MelderError
from melder.search.bounded import BoundedSearch
from melder.search.entity_store import SideStore
from melder.search.filters import EntityFilter
from melder.search.indexes import BACKENDS
from melder.search.topk import TopK
from melder.search.two_stage import TwoStage

__all__ = ["CERTIFIED", "Search", "build_search", "check_name"]

CERTIFIED = "certified"


class Search(Protocol):
    """Finds the best entities of mentions by their sides; `scored` pairs have had the full matcher's score so far."""

    scored: int

    def best(self, mentions: Side, k: int, among: EntityFilter | None = None) -> list[TopK]:
        """One a mention, in order; fewer than k columns where there are no more candidates.

        among: only of these entities; None = of all
        """
        ...


def build_search(name: str, matcher: UnitMatcher, source: SideStore, counting: Counting | None = None) -> Search:
    """The search of this name over the entities of `source`, whose sides are read once for it.

    Raises MelderError for an unknown name, and when the matcher or what is installed does not allow it.
    """
    check_name(name)
    if name == CERTIFIED:
        return BoundedSearch.build(matcher, source, counting)
    return TwoStage.build(matcher, source, name, counting)


def check_name(name: str) -> None:
    """Raises MelderError for the name of no search."""
    if name != CERTIFIED and name.partition(":")[0] not in BACKENDS:
        known = ", ".join([CERTIFIED, *BACKENDS])
        raise MelderError(f"{name!r}: is no search; there are {known}, faiss:FACTORY and milvus:URI")
