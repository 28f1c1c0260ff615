"""The checks, by name, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Callable

from melder.data.audit.answers import answers
from melder.data.audit.audited import Audited
from melder.data.audit.betraying import betraying
from melder.data.audit.copied_pictures import copied_pictures
from melder.data.audit.findings import Finding
from melder.data.audit.gaps import gaps
from melder.data.audit.homonyms import homonyms
from melder.data.audit.own_pictures import own_pictures
from melder.data.audit.repeats import repeats
from melder.data.audit.seen_entities import seen_entities
from melder.data.audit.shared_captions import shared_captions
from melder.data.audit.shared_pictures import shared_pictures
from melder.data.audit.shared_texts import shared_texts
from melder.data.audit.surfaces import surfaces

__all__ = ["CHECKS", "Check", "Findings", "audit"]

Check = Callable[[Audited], list[Finding]]
Findings = dict[str, list[Finding]]

CHECKS: dict[str, Check] = {
    "shared texts": shared_texts,
    "shared captions": shared_captions,
    "shared pictures": shared_pictures,
    "own pictures": own_pictures,
    "betraying": betraying,
    "copied pictures": copied_pictures,
    "repeats": repeats,
    "gaps": gaps,
    "answers": answers,
    "homonyms": homonyms,
    "seen entities": seen_entities,
    "surfaces": surfaces,
}


def audit(audited: Audited) -> Findings:
    """What every check says, found or not.

    Args:
        audited: A data set, read.

    Returns:
        Findings by the name of the check.
    """
    return {name: check(audited) for name, check in CHECKS.items()}
