"""Empty texts, descriptions and names, and pictures that are not there or cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from melder.data.audit.audited import Audited
from melder.data.audit.findings import ENTITIES, Finding, Severity
from melder.records import Entity, Mention

__all__ = ["gaps"]


def gaps(audited: Audited) -> list[Finding]:
    """What records lack, mentions and entities in one finding where both can lack it.

    Args:
        audited: A data set, read.

    Returns:
        In this order, those without rows too.
    """
    contents = audited.contents

    def paths(record: Mention | Entity) -> list[Path]:
        if isinstance(record, Entity):
            return list(audited.pictures(record).values())
        path = audited.picture(record)
        return [] if path is None else [path]

    def any_in(files: Iterable[Path]) -> Callable[[Mention | Entity], bool]:
        named = frozenset(files)
        return lambda record: not named.isdisjoint(paths(record))

    return [
        _finding(audited, "no text", "warning", "the text is empty", mention=lambda m: not m.text.strip()),
        _finding(audited, "no surface", "warning", "the surface is empty", mention=lambda m: not m.surface.strip()),
        _finding(
            audited,
            "surface not in the text",
            "warning",
            "the surface does not occur in the text",
            mention=lambda m: m.start is None and bool(m.surface.strip() and m.text.strip()),
        ),
        _finding(audited, "no name", "warning", "the name is empty", entity=lambda e: not e.name.strip()),
        _finding(
            audited, "no description", "warning", "the description is empty", entity=lambda e: not e.description.strip()
        ),
        _finding(
            audited,
            "no picture",
            "fact",
            "the record names no picture",
            mention=lambda m: not m.image,
            entity=lambda e: not e.images,
        ),
        _finding(
            audited,
            "picture absent",
            "warning",
            "a picture that the record names is not there",
            mention=any_in(contents.absent),
            entity=any_in(contents.absent),
        ),
        _finding(
            audited,
            "picture unreadable",
            "warning",
            "a picture that the record names cannot be read",
            mention=any_in(contents.unreadable),
            entity=any_in(contents.unreadable),
        ),
    ]


def _finding(
    audited: Audited,
    kind: str,
    severity: Severity,
    says: str,
    *,
    mention: Callable[[Mention], bool] | None = None,
    entity: Callable[[Entity], bool] | None = None,
) -> Finding:
    rows: dict[str, list[str]] = audited.where(mention) if mention else {}
    if entity:
        rows[ENTITIES] = [record.id for record in audited.entities if entity(record)]
    first = next(((section, ids[0]) for section, ids in rows.items() if ids), None)
    return Finding(
        kind=kind,
        severity=severity,
        says=says,
        rows=rows,
        of={section: size for section, size in audited.sizes.items() if section in rows},
        example=" ".join(first) if first else "",
    )
