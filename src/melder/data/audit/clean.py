"""A data set without its leaks, and the list of what it lacks.

Of rows that two splits share, the one in the earlier split (train, dev, test) is left out: what is evaluated on stays
whole, so that scores before and after can be compared. Where an entity has a mention's own picture, the entity loses
that picture; where an id tells the answer, the mention gets another. Warnings and facts are left as they are.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from melder.data.audit.audited import Audited
from melder.data.audit.findings import LeftOut
from melder.data.audit.registry import Findings, audit
from melder.data.writing import write_dataset, write_lines
from melder.protocols import Counting
from melder.records import Entity, MelderError, Mention

__all__ = ["LEFT_OUT", "clean", "write_clean"]

LEFT_OUT = "left-out.jsonl"


def write_clean(audited: Audited, out: Path, counting: Counting | None = None) -> list[LeftOut]:
    """Write the clean data set in Melder's own layout to a new directory, with `left-out.jsonl`.

    Args:
        audited: A data set, read.
        out: The directory.
        counting: Starts a progress bar with a title and a total.

    Returns:
        What was left out.

    Raises:
        MelderError: Nothing of a split is left, or `out` is in use.
    """
    cleaned, left_out = clean(audited)
    for split, mentions in cleaned.splits.items():
        if not mentions:
            raise MelderError(f"{audited.dataset.directory}: all of {split} leaks into later splits; nothing is left")
    write_dataset(audited.dataset, out, entities=cleaned.entities, splits=cleaned.splits, counting=counting)
    write_lines(out / LEFT_OUT, left_out)
    return left_out


def clean(audited: Audited) -> tuple[Audited, list[LeftOut]]:
    """The rows without leaks, and what was left out.

    Audits again until there is none: a text that came with two pictures may come with one when a row has gone.

    Args:
        audited: A data set, read.

    Returns:
        Both.
    """
    left_out: list[LeftOut] = []
    while remedies := _remedies(audit(audited)):
        left_out += remedies
        audited = _without(audited, remedies)
    return audited, left_out


def _remedies(findings: Findings) -> list[LeftOut]:
    """One for each row or picture, with all its reasons. A row that goes needs no other id."""
    reasons: dict[tuple[str, str, str | None, bool], dict[str, None]] = defaultdict(dict)
    for remedy in (remedy for group in findings.values() for finding in group for remedy in finding.remedies):
        reasons[remedy.part, remedy.id, remedy.picture, remedy.new_id is not None].setdefault(remedy.reason)
    return [
        LeftOut(
            part=section,
            id=row,
            picture=picture,
            new_id=_anonymous(section, row) if renamed else None,
            reason="; ".join(why),
        )
        for (section, row, picture, renamed), why in reasons.items()
        if not (renamed and (section, row, None, False) in reasons)
    ]


def _without(audited: Audited, remedies: Iterable[LeftOut]) -> Audited:
    gone = {(remedy.part, remedy.id) for remedy in remedies if remedy.picture is None and remedy.new_id is None}
    unseen = {(remedy.id, remedy.picture) for remedy in remedies if remedy.picture is not None}
    new = {(remedy.part, remedy.id): remedy.new_id for remedy in remedies if remedy.new_id is not None}

    def renamed(split: str, mention: Mention) -> Mention:
        return mention.model_copy(update={"id": new.get((split, mention.id), mention.id)})

    def lessened(entity: Entity) -> Entity:
        images = tuple(name for name in entity.images if (entity.id, name) not in unseen)
        return entity.model_copy(update={"images": images})

    splits = {
        split: [renamed(split, mention) for mention in mentions if (split, mention.id) not in gone]
        for split, mentions in audited.splits.items()
    }
    return audited.but([lessened(entity) for entity in audited.entities], splits)


def _anonymous(split: str, identifier: str) -> str:
    """Another id, the same every time, that no answer is a word of."""
    return hashlib.blake2b(f"{split} {identifier}".encode(), digest_size=8).hexdigest()
