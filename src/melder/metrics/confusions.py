"""Which entities are taken for which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from melder.records import Link, Mention

__all__ = ["Confusion", "confusions", "is_wrong"]


@dataclass(frozen=True)
class Confusion:
    """Two entities, and how often the first is answered with the second, and the second with the first.

    Args:
        first: The entity that is taken for the other more often.
        second: The other.
        taken: How often the first is answered with the second.
        taken_back: How often the second is answered with the first.
    """

    first: str
    second: str
    taken: int
    taken_back: int

    @property
    def pair(self) -> frozenset[str]:
        return frozenset((self.first, self.second))


def confusions(mentions: Sequence[Mention], links: Sequence[Link]) -> list[Confusion]:
    """Every pair of entities that was confused, the most frequent first; the direction that prevails comes first.

    Args:
        mentions: With their answers.
        links: Theirs, in the same order.

    Returns:
        The pairs.
    """
    wrong = Counter(
        (str(mention.answer), link.candidates[0].id)
        for mention, link in zip(mentions, links, strict=True)
        if is_wrong(mention, link)
    )
    pairs: dict[frozenset[str], Confusion] = {}
    for (answer, taken_for), count in wrong.most_common():
        pair = Confusion(answer, taken_for, count, wrong[taken_for, answer])
        pairs.setdefault(pair.pair, pair)
    return sorted(pairs.values(), key=lambda confusion: -confusion.taken - confusion.taken_back)


def is_wrong(mention: Mention, link: Link) -> bool:
    """Whether the first candidate is not the answer; no candidate is right or wrong for a NIL mention.

    Args:
        mention: With its answer.
        link: What was answered.

    Returns:
        True for a wrong first candidate.
    """
    return mention.answer is not None and bool(link.candidates) and link.candidates[0].id != mention.answer
