"""Entities that share a name, and entities that nothing but the id tells apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable

from melder.data.audit.audited import Audited
from melder.data.audit.findings import ENTITIES, Finding, Severity
from melder.data.audit.texts import bare
from melder.records import Entity

__all__ = ["homonyms"]


def homonyms(audited: Audited) -> list[Finding]:
    """Same name; same name but for writing; same name and description. Mentions count with their gold entity.

    Args:
        audited: A data set, read.

    Returns:
        In this order, those without rows too.
    """
    return [
        _finding(audited, "same name", "fact", "another entity has the same name", lambda e: e.name),
        _finding(
            audited,
            "same name but for writing",
            "fact",
            "another entity has the same name but for case, white space and punctuation",
            lambda e: bare(e.name),
        ),
        _finding(
            audited,
            "same name and description",
            "warning",
            "another entity has the same name and description, but for writing",
            lambda e: (bare(e.name), bare(e.description)),
        ),
    ]


def _finding(audited: Audited, kind: str, severity: Severity, says: str, key: Callable[[Entity], Hashable]) -> Finding:
    holders: dict[Hashable, list[str]] = defaultdict(list)
    for entity in audited.entities:
        if entity.name.strip():
            holders[key(entity)].append(entity.id)
    shared = [ids for ids in holders.values() if len(ids) > 1]
    among = {identifier for ids in shared for identifier in ids}
    most = max(shared, key=len, default=[])
    return Finding(
        kind=kind,
        severity=severity,
        says=says,
        rows={
            **audited.where(lambda m: m.answer in among),
            ENTITIES: [e.id for e in audited.entities if e.id in among],
        },
        of=audited.sizes,
        example=f"{audited.known[most[0]].name!r}: {', '.join(most[:4])}{' …' if len(most) > 4 else ''}"
        if most
        else "",
        groups=len(shared),
    )
