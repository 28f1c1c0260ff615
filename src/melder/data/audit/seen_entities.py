"""Answers of dev and test that training has seen, and those that the splits have in common."""

from __future__ import annotations

from collections.abc import Callable

from melder.data.audit.audited import Audited
from melder.data.audit.findings import Finding
from melder.data.audit.texts import bare
from melder.records import Mention

__all__ = ["seen_entities"]


def seen_entities(audited: Audited) -> list[Finding]:
    """Mentions of dev and test whose entity, and whose entity under this surface, is an answer in train.

    Args:
        audited: A data set, read.

    Returns:
        In this order, those without rows too.
    """
    train = audited.splits.get("train", [])
    answers = {m.answer for m in train if m.answer is not None}
    pairs = {(bare(m.surface), m.answer) for m in train if m.answer is not None}
    return [
        _finding(audited, "entity", "the answer is an answer in train too", lambda m: m.answer in answers),
        _finding(
            audited,
            "entity and surface",
            "the answer is an answer in train too, under the same surface",
            lambda m: (bare(m.surface), m.answer) in pairs,
        ),
    ]


def _finding(audited: Audited, kind: str, says: str, seen: Callable[[Mention], bool]) -> Finding:
    later = [split for split in audited.splits if split != "train" and "train" in audited.splits]
    rows = {split: [m.id for m in audited.splits[split] if seen(m)] for split in later}
    first = next((m for split in later for m in audited.splits[split] if seen(m)), None)
    return Finding(
        kind=kind,
        severity="fact",
        says=says,
        rows=rows,
        of={split: sum(m.answer is not None for m in audited.splits[split]) for split in later},
        example=f"{first.id}: {first.surface!r} is {first.answer}" if first else "",
        groups=len({m.answer for split in later for m in audited.splits[split] if seen(m)}),
    )
