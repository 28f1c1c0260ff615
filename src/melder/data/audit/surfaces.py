"""How often the surface is the name of the answer already, and how often that name is not unique."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from melder.data.audit.audited import Audited
from melder.data.audit.findings import Finding
from melder.data.audit.texts import bare
from melder.records import Mention

__all__ = ["surfaces"]


def surfaces(audited: Audited) -> list[Finding]:
    """Each group holds the one before it: the name; the name but for writing; the name or an alias.

    Args:
        audited: A data set, read.

    Returns:
        In this order, those without rows too.
    """
    holders = Counter(name for entity in audited.entities for name in {bare(label) for label in entity.names})

    def raw(mention: Mention) -> bool:
        gold = audited.gold(mention)
        return gold is not None and mention.surface != "" and mention.surface == gold.name

    def alike(mention: Mention) -> bool:
        gold = audited.gold(mention)
        return gold is not None and mention.surface.strip() != "" and bare(mention.surface) == bare(gold.name)

    def known(mention: Mention) -> bool:
        gold = audited.gold(mention)
        return gold is not None and bare(mention.surface) in {bare(name) for name in gold.names}

    def settled(mention: Mention) -> bool:
        return known(mention) and holders[bare(mention.surface)] == 1

    return [
        _finding(audited, "equal to the name", "the surface is the gold entity's name", raw),
        _finding(audited, "equal but for writing", "the same, but for case, white space and punctuation", alike),
        _finding(audited, "name or alias", "the surface is the gold entity's name or an alias, but for writing", known),
        _finding(audited, "only one has the name", "the same, and no other entity is called so", settled),
    ]


def _finding(audited: Audited, kind: str, says: str, wanted: Callable[[Mention], bool]) -> Finding:
    first = audited.first(wanted)
    return Finding(
        kind=kind,
        severity="fact",
        says=says,
        rows=audited.where(wanted),
        of={s: sum(m.answer is not None for m in mentions) for s, mentions in audited.splits.items()},
        example=f"{first.id}: {first.surface!r} is {first.answer}" if first else "",
    )
