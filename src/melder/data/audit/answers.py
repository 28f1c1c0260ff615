"""Mentions without an answer, answers that the knowledge base lacks, entities that are never an answer."""

from __future__ import annotations

from melder.data.audit.audited import Audited
from melder.data.audit.findings import ENTITIES, Finding

__all__ = ["answers"]


def answers(audited: Audited) -> list[Finding]:
    """NIL; answers missing from the knowledge base (found where bad records are skipped); entities never asked for.

    Args:
        audited: A data set, read.

    Returns:
        In this order, those without rows too.
    """
    return [_nil(audited), _missing(audited), _never(audited)]


def _nil(audited: Audited) -> Finding:
    first = audited.first(lambda m: m.answer is None)
    return Finding(
        kind="NIL",
        severity="fact",
        says="no entity is right; no metric counts it",
        rows=audited.where(lambda m: m.answer is None),
        of=audited.split_sizes,
        example=f"{first.id}: {first.surface!r}" if first else "",
    )


def _missing(audited: Audited) -> Finding:
    """From what reading left out: such a record is no mention of this data set."""
    lacking = {
        split: [record for record in records if "is not in the knowledge base" in record.message]
        for split, records in audited.skipped.items()
    }
    rows = {split: [f"record {record.number}" for record in records] for split, records in lacking.items()}
    return Finding(
        kind="not in the knowledge base",
        severity="warning",
        says="the answer is no entity of the knowledge base; the record was left out",
        rows=rows,
        of={split: size + len(rows[split]) for split, size in audited.split_sizes.items()},
        example=next((str(record) for records in lacking.values() for record in records), ""),
    )


def _never(audited: Audited) -> Finding:
    answers = {mention.answer for mentions in audited.splits.values() for mention in mentions}
    idle = [entity.id for entity in audited.entities if entity.id not in answers]
    return Finding(
        kind="never an answer",
        severity="fact",
        says="no mention of these splits has the entity as its answer",
        rows={ENTITIES: idle if audited.splits else []},
        of={ENTITIES: len(audited.entities)} if audited.splits else {},
        example=f"{idle[0]}, {audited.known[idle[0]].name!r}" if idle else "",
    )
