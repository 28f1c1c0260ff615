"""How often each type occurs in a knowledge base on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from threading import Lock

from melder.kb.knowledge_base import KnowledgeBase
from melder.kb.segment_reader import SegmentReader

__all__ = ["TypeCounts"]

AT_ONCE = 1000  # records read together


class TypeCounts:
    """Types of generation after generation. A segment never changes, so that each is counted once, and a change costs
    what it changes. Threads may share it."""

    def __init__(self) -> None:
        self._counted: dict[str, Counter[str]] = {}  # of all rows of a segment, by its digest
        self._lock = Lock()

    def of(self, base: KnowledgeBase) -> tuple[str, ...]:
        """Those of all living entities, the most frequent first."""
        return tuple(kind for kind, _ in self.counts(base).most_common())

    def counts(self, base: KnowledgeBase) -> Counter[str]:
        """How many living entities have each type."""
        with self._lock:
            self._counted = {part.listed.digest: self._all(base, part) for part in base.parts}
            total: Counter[str] = Counter()
            for part in base.parts:
                total.update(self._counted[part.listed.digest])
                total.subtract(_count(base, part, sorted(part.deleted_rows)))
        return +total

    def _all(self, base: KnowledgeBase, part: SegmentReader) -> Counter[str]:
        known = self._counted.get(part.listed.digest)
        return _count(base, part, range(part.listed.rows)) if known is None else known


def _count(base: KnowledgeBase, part: SegmentReader, rows: Sequence[int]) -> Counter[str]:
    blocks = (rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE))
    read = chain.from_iterable(base.records_of(part).entities(block) for block in blocks)
    return Counter(kind for entity in read for kind in entity.types)
