"""Mentions whose picture is among the pictures of the entity that answers them.

A comparison of pictures then finds the answer without looking at what they show. A group that built WikiMEL anew
found this in its build, with H@1 of 96.65 %. What a clean data set leaves out is the entity's picture: questions and
candidates stay the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from melder.data.audit.audited import Audited
from melder.data.audit.findings import ENTITIES, Finding, LeftOut, Severity
from melder.records import Mention

__all__ = ["own_pictures"]

KINDS: dict[str, tuple[Severity, str]] = {
    "file": ("leak", "the picture's file is one of the gold entity's pictures"),
    "bytes": ("leak", "one of the gold entity's pictures has the same bytes"),
    "pixels": ("leak", "one of the gold entity's pictures has the same pixels"),
    "near": ("leak", "one of the gold entity's pictures is a near-duplicate"),
    "name": ("warning", "one of the gold entity's pictures has the same name, and one of the two cannot be read"),
}


class _Way(NamedTuple):
    """One picture of the gold entity that is a mention's picture."""

    split: str
    mention: Mention
    kind: str
    picture: str


def own_pictures(audited: Audited) -> list[Finding]:
    """A finding a way of being the same; a mention counts once, as what it surely is.

    Args:
        audited: A data set, read.

    Returns:
        In this order, those without rows too.
    """
    ways = [way for split, mentions in audited.splits.items() for m in mentions for way in _ways(audited, split, m)]
    ways.sort(key=lambda way: list(KINDS).index(way.kind))
    surest: dict[tuple[str, str], _Way] = {}
    for way in ways:
        surest.setdefault((way.split, way.mention.id), way)
    findings = []
    for kind in KINDS:
        of = {split: sum(_compared(audited, m, kind) for m in mentions) for split, mentions in audited.splits.items()}
        findings.append(_finding(kind, [way for way in surest.values() if way.kind == kind], ways, of))
    return findings


def _ways(audited: Audited, split: str, mention: Mention) -> Iterator[_Way]:
    gold = audited.gold(mention)
    pairs = product(audited.mention_pictures(mention), audited.pictures(gold).items() if gold else ())
    for path, (name, other) in pairs:
        if kind := audited.contents.relation(path, other):
            yield _Way(split, mention, kind, name)
        elif path.name == other.name and not {path, other} <= audited.contents.numbers.keys():
            yield _Way(split, mention, "name", name)


def _compared(audited: Audited, mention: Mention, kind: str) -> bool:
    """Whether both sides have a picture; one that can be read, where contents are compared."""
    own, gold = audited.mention_pictures(mention), audited.gold(mention)
    others = [] if gold is None else list(audited.pictures(gold).values())
    if kind in ("file", "name"):
        return own != [] and others != []
    numbers = audited.contents.numbers
    return any(path in numbers for path in own) and any(other in numbers for other in others)


def _finding(kind: str, counted: list[_Way], ways: list[_Way], of: dict[str, int]) -> Finding:
    severity, says = KINDS[kind]
    leaks = [way for way in ways if way.kind == kind and severity == "leak"]
    pictures = dict.fromkeys((str(way.mention.answer), way.picture) for way in leaks)
    first = counted[0] if counted else None
    return Finding(
        kind=f"same {kind}" if kind != "near" else "near-duplicate",
        severity=severity,
        says=says,
        rows={split: [way.mention.id for way in counted if way.split == split] for split in of},
        of=of,
        example=f"{first.split} {first.mention.id}: {' and '.join((*first.mention.images, first.picture))}"
        if first
        else "",
        remedies=tuple(
            LeftOut(part=ENTITIES, id=e, picture=name, reason=f"of a mention's own picture: {says}")
            for e, name in pictures
        ),
    )
