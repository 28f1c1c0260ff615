"""The gold entity of each mention that is to be ranked."""

from __future__ import annotations

from collections.abc import Container, Iterable

from melder.records import MelderError, Mention

__all__ = ["answers"]


def answers(mentions: Iterable[Mention], candidates: Container[str]) -> list[str]:
    """The ids of the mentions' answers.

    Args:
        mentions: With an answer each.
        candidates: The ids of the entities that are ranked.

    Returns:
        Ids, in the order of the mentions.

    Raises:
        MelderError: An answer that is null (a NIL mention has no rank) or not in `candidates`, the ids of the entities
            that are ranked.
    """
    ids = []
    for mention in mentions:
        if mention.answer is None or mention.answer not in candidates:
            missing = "is null" if mention.answer is None else f"{mention.answer!r} is not among the candidates"
            remedy = "leave the mention out of the ranks or add its entity"
            raise MelderError(f"mention {mention.id!r}, field 'answer': {missing}; {remedy}")
        ids.append(mention.answer)
    return ids
