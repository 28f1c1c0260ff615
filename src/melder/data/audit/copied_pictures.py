"""One content under several names, and one picture for several entities."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from melder.data.audit.audited import Audited
from melder.data.audit.findings import ENTITIES, Finding
from melder.records import Entity

__all__ = ["copied_pictures"]


def copied_pictures(audited: Audited) -> list[Finding]:
    """Copies under another name; entities that share a picture, or almost.

    Args:
        audited: A data set, read.

    Returns:
        In this order, those without rows too.
    """
    return [_copies(audited), *_of_several_entities(audited)]


def _copies(audited: Audited) -> Finding:
    files: dict[int, set[Path]] = defaultdict(set)
    for path, number in audited.contents.numbers.items():
        files[number].add(path)
    copied = {number: sorted(paths) for number, paths in files.items() if len(paths) > 1}

    def is_copied(paths: Iterable[Path | None]) -> bool:
        return any(path and audited.contents.numbers.get(path) in copied for path in paths)

    first = next(iter(copied.values()), [])
    return Finding(
        kind="several names",
        severity="warning",
        says="the pixels of the picture are also in a file of another name",
        rows={
            **audited.where(lambda m: is_copied([audited.picture(m)])),
            ENTITIES: [e.id for e in audited.entities if is_copied(audited.pictures(e).values())],
        },
        of={**_pictured(audited), ENTITIES: sum(bool(_numbers(audited, e)) for e in audited.entities)},
        example=" = ".join(path.name for path in first[:3]),
        groups=len(copied),
    )


def _of_several_entities(audited: Audited) -> list[Finding]:
    near = audited.contents.near
    holders: dict[int, list[str]] = defaultdict(list)  # a picture's number → the entities that have it
    for entity in audited.entities:
        for number in _numbers(audited, entity):
            holders[number].append(entity.id)
    same = _finding(
        audited,
        "same for several entities",
        "another entity has a picture with the same pixels",
        {number: set(ids) for number, ids in holders.items()},
    )
    alike = _finding(
        audited,
        "near-duplicate for several entities",
        "another entity has a near-duplicate of a picture",
        {n: {*ids, *(e for other in near.get(n, ()) for e in holders.get(other, ()))} for n, ids in holders.items()},
        but=same.rows[ENTITIES],
    )
    return [same, alike]


def _finding(
    audited: Audited, kind: str, says: str, together: Mapping[int, set[str]], but: Iterable[str] = ()
) -> Finding:
    """Entities that stand together for one of their pictures, `but` those that a stronger finding has."""
    excluded = set(but)
    shared = {number: ids for number, ids in together.items() if len(ids) > 1 and ids - excluded}
    held = [e.id for e in audited.entities if e.id not in excluded and any(n in shared for n in _numbers(audited, e))]
    return Finding(
        kind=kind,
        severity="warning",
        says=says,
        rows={ENTITIES: held},
        of={ENTITIES: sum(bool(_numbers(audited, e)) for e in audited.entities)},
        example=" and ".join(sorted(next(iter(shared.values()), set()))[:3]),
    )


def _numbers(audited: Audited, entity: Entity) -> set[int]:
    numbers = audited.contents.numbers
    return {numbers[path] for path in audited.pictures(entity).values() if path in numbers}


def _pictured(audited: Audited) -> dict[str, int]:
    """Mentions with a picture that can be read, by split."""
    numbers = audited.contents.numbers
    return {s: sum(audited.picture(m) in numbers for m in mentions) for s, mentions in audited.splits.items()}
