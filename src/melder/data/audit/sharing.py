"""Rows that have something in common with rows of another split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from melder.data.audit.findings import Finding, LeftOut, Severity
from melder.data.dataset import SPLITS

__all__ = ["Keyed", "Sharing", "sharing", "sharing_finding"]

Keyed = Mapping[str, Mapping[str, Iterable[Hashable]]]  # split → id of a row → what it may share


@dataclass(frozen=True)
class Sharing:
    """The keys that stand in several splits, and who holds them.

    Args:
        holders: Key → split → its first row that holds the key. rows: of each split, the rows that hold such a key.
        early: Of these, the ones whose key stands in a later split too (train, dev, test).
    """

    holders: Mapping[Hashable, Mapping[str, str]]
    rows: Mapping[str, list[str]]
    early: Mapping[str, list[str]]


def sharing(keyed: Keyed) -> Sharing:
    """What the splits share.

    Args:
        keyed: By split and row, what it may share.

    Returns:
        Which rows share something with another split.
    """
    every: dict[Hashable, dict[str, str]] = defaultdict(dict)
    for split, rows in keyed.items():
        for row, keys in rows.items():
            for key in keys:
                every[key].setdefault(split, row)
    holders = {key: splits for key, splits in every.items() if len(splits) > 1}
    last = {key: max(map(SPLITS.index, splits)) for key, splits in holders.items()}

    def held_after(place: int, rows: Mapping[str, Iterable[Hashable]]) -> list[str]:
        return [row for row, keys in rows.items() if any(last.get(key, -1) > place for key in keys)]

    return Sharing(
        holders,
        rows={split: held_after(-1, rows) for split, rows in keyed.items()},
        early={split: held_after(SPLITS.index(split), rows) for split, rows in keyed.items()},
    )


def sharing_finding(
    kind: str,
    severity: Severity,
    says: str,
    keyed: Keyed,
    *,
    show: Callable[[str, str], str],
    stronger: Sequence[Finding] = (),
) -> Finding:
    """A finding of the rows that share a key with another split. With one split there is nothing to look at.

    Args:
        kind: Of the finding.
        severity: Of a leak, the row of the earlier split is to be left out, so that what is evaluated on stays whole.
        says: What is true of the rows.
        keyed: By split and row, what it may share.
        show: Tells more about the row (split, id) that serves as the example.
        stronger: Findings whose rows are not counted, or left out, again.

    Returns:
        The finding, perhaps of no row.
    """
    shared = sharing(keyed)
    counted = {split: {row for finding in stronger for row in finding.rows.get(split, ())} for split in keyed}
    gone = {(remedy.part, remedy.id) for finding in stronger for remedy in finding.remedies}
    rows = {split: [row for row in rows if row not in counted[split]] for split, rows in shared.rows.items()}
    new = {split: set(remaining) for split, remaining in rows.items()}
    fresh = [holder for holder in shared.holders.values() if any(row in new[split] for split, row in holder.items())]
    early = [(split, row) for split, rows in shared.early.items() for row in rows if (split, row) not in gone]
    return Finding(
        kind=kind,
        severity=severity,
        says=says,
        rows=rows,
        of={split: len(rows) for split, rows in keyed.items()} if len(keyed) > 1 else {},
        example=_example(fresh[0], show) if fresh else "",
        groups=len(fresh),
        remedies=tuple(
            LeftOut(part=split, id=row, reason=f"{says}, a later one") for split, row in early if severity == "leak"
        ),
    )


def _example(holders: Mapping[str, str], show: Callable[[str, str], str]) -> str:
    split, row = next(iter(holders.items()))
    return f"{' and '.join(f'{split} {row}' for split, row in holders.items())}: {show(split, row)}"
