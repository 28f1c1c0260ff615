"""Mentions that stand twice in a split, and those that contradict each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable

from melder.data.audit.audited import Audited
from melder.data.audit.findings import Finding
from melder.records import Mention

__all__ = ["repeats"]

Group = list[Mention]


def repeats(audited: Audited) -> list[Finding]:
    """The same text, span, surface and picture again: with the same answer, or with another.

    Args:
        audited: A data set, read.

    Returns:
        In this order, those without rows too.
    """
    return [
        _finding(
            audited,
            "repeated mention",
            "text, span, surface, picture and answer are those of another mention of the split",
            lambda m: (m.text, m.start, m.surface, audited.picture(m), m.answer),
            lambda group: True,
        ),
        _finding(
            audited,
            "contradicting answers",
            "text, span, surface and picture are those of a mention of the split with another answer",
            lambda m: (m.text, m.start, m.surface, audited.picture(m)),
            lambda group: len({mention.answer for mention in group}) > 1,
        ),
    ]


def _finding(
    audited: Audited,
    kind: str,
    says: str,
    key: Callable[[Mention], Hashable],
    counts: Callable[[Group], bool],
) -> Finding:
    rows: dict[str, list[str]] = {}
    repeated: list[Group] = []
    for split, mentions in audited.splits.items():
        groups: dict[Hashable, Group] = defaultdict(list)
        for mention in mentions:
            groups[key(mention)].append(mention)
        several = [group for group in groups.values() if len(group) > 1 and counts(group)]
        repeated += several
        among = {mention.id for group in several for mention in group}
        rows[split] = [mention.id for mention in mentions if mention.id in among]
    example = " and ".join(f"{m.id} ({m.surface!r} is {m.answer})" for m in repeated[0][:2]) if repeated else ""
    return Finding(
        kind=kind,
        severity="warning",
        says=says,
        rows=rows,
        of=audited.split_sizes,
        example=example,
        groups=len(repeated),
    )
