"""Examples of a report, from what a linker answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from melder.data.dataset import DataSet
from melder.evaluation.report.page import Example, Shown
from melder.records import Candidate, Entity, Link, Mention

__all__ = ["confident_errors", "examples"]

CANDIDATES = 5  # of an example: what a reader takes in at a glance


def examples(
    mentions: Sequence[Mention], links: Sequence[Link], dataset: DataSet, knowledge_base: DataSet | None = None
) -> list[Example]:
    """An example a mention, with its first candidates and their first pictures.

    The mentions are of `dataset`, the candidates of `knowledge_base`, by default the same.
    """
    base = knowledge_base or dataset
    entities = {entity.id: entity for entity in base.entities}
    pairs = zip(mentions, links, strict=True)
    return [_example(mention, link, entities, dataset, base) for mention, link in pairs]


def confident_errors(mentions: Sequence[Mention], links: Sequence[Link], count: int) -> list[int]:
    """Positions of the mentions with a wrong first candidate, the surest first, `count` at most.

    The margin of the first score over the second measures how sure a linker was. Mentions whose right answer is
    none of the entities (NIL) are left out: no candidate is right for them.
    """
    margins = {
        position: _margin(link)
        for position, (mention, link) in enumerate(zip(mentions, links, strict=True))
        if mention.answer is not None and link.candidates and link.candidates[0].id != mention.answer
    }
    return sorted(margins, key=lambda position: -margins[position])[:count]


def _margin(link: Link) -> float:
    """Of a single candidate nothing is known; it comes last."""
    return link.candidates[0].score - link.candidates[1].score if len(link.candidates) > 1 else 0.0


def _example(mention: Mention, link: Link, entities: Mapping[str, Entity], dataset: DataSet, base: DataSet) -> Example:
    return Example(
        text=mention.text,
        start=mention.start,
        end=mention.end,
        surface=mention.surface,
        answer=None if mention.answer is None else entities[mention.answer].name or mention.answer,
        candidates=[_shown(c, mention, entities[c.id], base) for c in link.candidates[:CANDIDATES]],
        picture=None if mention.image is None else dataset.mention_image(mention.image),
    )


def _shown(candidate: Candidate, mention: Mention, entity: Entity, dataset: DataSet) -> Shown:
    return Shown(
        id=candidate.id,
        name=candidate.name,
        score=candidate.score,
        units=candidate.units,
        picture=dataset.entity_image(entity.images[0]) if entity.images else None,
        gold=candidate.id == mention.answer,
    )
