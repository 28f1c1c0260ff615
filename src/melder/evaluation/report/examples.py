"""Examples of a report, from what a linker answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from melder.data.dataset import DataSet
from melder.evaluation.report.page import ConfusedPair, Example, Shown
from melder.kb import KnowledgeBase
from melder.metrics.confusions import Confusion, is_wrong
from melder.records import Candidate, Entity, Link, Mention

__all__ = ["confident_errors", "confused_pairs", "examples"]

CANDIDATES = 5  # of an example: what a reader takes in at a glance


def examples(
    mentions: Sequence[Mention],
    links: Sequence[Link],
    ranks: Sequence[float | None],
    dataset: DataSet,
    knowledge_base: DataSet | KnowledgeBase | None = None,
    groups: Sequence[Sequence[str]] | None = None,
) -> list[Example]:
    """An example a mention, with its first candidates, the gold entity, and their first pictures.

    Args:
        mentions: Of `dataset`.
        links: Of these, in their order.
        ranks: Of the gold entities; None = NIL.
        dataset: Of the mentions.
        knowledge_base: Of the candidates; None = the data set.
        groups: The slices of each mention.

    Returns:
        In the order of the mentions.
    """
    base = knowledge_base or dataset
    entities = {entity.id: entity for entity in base.entities}
    rows = zip(mentions, links, ranks, groups or [()] * len(mentions), strict=True)
    return [
        Example(
            text=mention.text,
            start=mention.start,
            end=mention.end,
            surface=mention.surface,
            answer=None if mention.answer is None else entities[mention.answer].name or mention.answer,
            candidates=_candidates(mention, link, rank, entities, base),
            picture=dataset.mention_image(mention.images[0]) if mention.images else None,
            id=mention.id,
            rank=rank,
            groups=group,
        )
        for mention, link, rank, group in rows
    ]


def confident_errors(mentions: Sequence[Mention], links: Sequence[Link]) -> list[int]:
    """Positions of the mentions with a wrong first candidate, the surest first.

    The margin of the first score over the second measures how sure a linker was. Mentions whose right answer is
    none of the entities (NIL) are left out: no candidate is right for them.

    Args:
        mentions: With or without answers.
        links: Of these, in their order.

    Returns:
        Rows of `mentions`.
    """
    margins = {
        position: _margin(link)
        for position, (mention, link) in enumerate(zip(mentions, links, strict=True))
        if is_wrong(mention, link)
    }
    return sorted(margins, key=lambda position: -margins[position])


def confused_pairs(confusions: Sequence[Confusion], knowledge_base: DataSet | KnowledgeBase) -> list[ConfusedPair]:
    """The pairs with names and pictures.

    Args:
        confusions: Ids and counts.
        knowledge_base: Of the entities.

    Returns:
        In the same order.
    """
    entities = {entity.id: entity for entity in knowledge_base.entities}

    def candidate(identity: str) -> Shown:
        entity = entities[identity]
        return Shown(identity, entity.name, picture=knowledge_base.entity_picture(entity))

    return [
        ConfusedPair(candidate(pair.first), candidate(pair.second), pair.taken, pair.taken_back) for pair in confusions
    ]


def _margin(link: Link) -> float:
    """Of a single candidate nothing is known; it comes last."""
    return link.candidates[0].score - link.candidates[1].score if len(link.candidates) > 1 else 0.0


def _candidates(
    mention: Mention, link: Link, rank: float | None, entities: Mapping[str, Entity], base: DataSet | KnowledgeBase
) -> list[Shown]:
    first = [_shown(c, mention, entities[c.id], base) for c in link.candidates[:CANDIDATES]]
    if mention.answer is None or any(candidate.gold for candidate in first):
        return first
    gold, ranked = entities[mention.answer], {c.id: c for c in link.candidates}.get(mention.answer)
    return [
        *first,
        Shown(
            id=gold.id,
            name=gold.name,
            score=ranked.score if ranked else None,
            units=ranked.units if ranked else {},
            picture=base.entity_picture(gold),
            gold=True,
            rank=rank,
        ),
    ]


def _shown(candidate: Candidate, mention: Mention, entity: Entity, base: DataSet | KnowledgeBase) -> Shown:
    return Shown(
        id=candidate.id,
        name=candidate.name,
        score=candidate.score,
        units=candidate.units,
        picture=base.entity_picture(entity),
        gold=candidate.id == mention.answer,
    )
