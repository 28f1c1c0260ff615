"""Ids, file names and orders of rows that tell the answer.

In MELBench's Richpedia-MEL the key of a mention is the QID of its answer; in RichpediaMEL in the layout of MIMIC its
id is the number of its answer in the knowledge base. Melder's methods read neither ids nor file names, but a prompt,
a log or a feature store may. A clean data set has new ids; it keeps the names of pictures, by which stored features
are found.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from melder.data.audit.audited import Audited
from melder.data.audit.findings import Finding, LeftOut
from melder.data.audit.texts import words
from melder.records import Mention

__all__ = ["betraying"]

_LONG = 5  # of an answer and a space on each side: two letters are in many names by chance
_FEW, _RARE = 5, 0.1  # so many ids, and such a share of them, do not equal the answer's place by chance


def betraying(audited: Audited) -> list[Finding]:
    """The answer in the id; its place as the id; the answer or its name in the picture's name; rows in its order.

    Args:
        audited: A data set, read.

    Returns:
        In this order, those without rows too.
    """

    def named(mention: Mention) -> bool:
        gold = audited.gold(mention)
        return gold is not None and any(_holds(name, gold.name) for name in mention.images)

    return [
        _finding(audited, "answer in the id", "the id holds the id of the answer", lambda m: _holds(m.id, m.answer)),
        _finding(audited, "place as the id", "the id is the answer's place in the knowledge base", _placed(audited)),
        _finding(
            audited,
            "answer in the picture's name",
            "the path of the picture holds the id of the answer",
            lambda m: any(_holds(name, m.answer) for name in m.images),
            pictures=True,
        ),
        _finding(
            audited,
            "name in the picture's name",
            "the path of the picture holds the answer's name",
            named,
            pictures=True,
        ),
        _order(audited),
    ]


def _holds(place: str | None, answer: str | None) -> bool:
    """Whether an id or a path holds an answer, as words. A short number is in many places by chance."""
    if not place or not answer:
        return False
    sought = words(answer)
    return place == answer or (len(sought) >= _LONG and not sought.strip().isdigit() and sought in words(place))


def _placed(audited: Audited) -> Callable[[Mention], bool]:
    """Whether the id is the place of the answer, counted from 0 or from 1, where that is no accident."""
    places = {entity.id: place for place, entity in enumerate(audited.entities)}
    numbers = [m for mentions in audited.splits.values() for m in mentions if m.id.isdecimal() and m.answer is not None]
    for base in (0, 1):
        hits = sum(int(m.id) == places[str(m.answer)] + base for m in numbers)
        if hits >= max(_FEW, _RARE * len(numbers)):
            return lambda m: m.answer is not None and m.id.isdecimal() and int(m.id) == places[m.answer] + base
    return lambda m: False


def _finding(
    audited: Audited, kind: str, says: str, betrays: Callable[[Mention], bool], *, pictures: bool = False
) -> Finding:
    rows = audited.where(betrays)
    first = audited.first(betrays)
    remedies = [LeftOut(part=split, id=row, new_id="", reason=says) for split, ids in rows.items() for row in ids]
    return Finding(
        kind=kind,
        severity="warning" if pictures else "leak",
        says=says,
        rows=rows,
        of={s: sum(bool(m.image) or not pictures for m in mentions) for s, mentions in audited.splits.items()},
        example=f"{' and '.join(first.images) if pictures else first.id}, answer {first.answer}" if first else "",
        remedies=() if pictures else tuple(remedies),
    )


def _order(audited: Audited) -> Finding:
    """Rows sorted by answer: the first tenth of train then holds few entities, and a neighbour tells the answer."""
    rows = {
        split: [m.id for before, m in pairwise(mentions) if m.answer is not None and m.answer == before.answer]
        for split, mentions in audited.splits.items()
    }
    return Finding(
        kind="order of rows",
        severity="fact",
        says="the row before has the same answer",
        rows=rows,
        of=audited.split_sizes,
        example=next((f"{split} {ids[0]}" for split, ids in rows.items() if ids), ""),
    )
