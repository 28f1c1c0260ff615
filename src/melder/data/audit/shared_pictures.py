"""Pictures that stand in several splits: by name, by bytes, by pixels, and near-duplicates.

A picture that comes with many texts and many answers is a placeholder ("no picture") rather than a source that was
cut in two: it is a warning, no leak.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable
from pathlib import Path

from melder.data.audit.audited import Audited
from melder.data.audit.findings import Finding
from melder.data.audit.sharing import Keyed, sharing_finding
from melder.data.audit.texts import bare

__all__ = ["MANY", "shared_pictures"]

MANY = 10  # texts, and answers, of a placeholder; a photograph may well illustrate several articles

Key = Callable[[Path], Iterable[Hashable]]


def shared_pictures(audited: Audited) -> list[Finding]:
    """From the surest to the least sure, a mention counting once, as what it surely is; then placeholders.

    Args:
        audited: A data set, read.

    Returns:
        In this order, those without rows too.
    """
    contents = audited.contents
    placeholders = _placeholders(audited)

    def near(path: Path) -> list[Hashable]:
        number = contents.numbers[path]
        return [frozenset((number, other)) for other in contents.near.get(number, ())]  # both ends hold the pair

    kinds: list[tuple[str, str, Key]] = [
        ("same file", "the picture's file is that of a mention in another split", lambda path: [path]),
        ("same bytes", "a picture in another split has the same bytes", lambda path: [contents.digests[path]]),
        ("same pixels", "a picture in another split has the same pixels", lambda path: [contents.numbers[path]]),
        ("near-duplicate", "a picture in another split is a near-duplicate", near),
    ]
    findings: list[Finding] = []
    for kind, says, key in kinds:
        keyed = _keyed(audited, key, but=placeholders, readable=kind != "same file")
        findings.append(sharing_finding(kind, "leak", says, keyed, show=_show(audited), stronger=list(findings)))
    keyed = _keyed(audited, lambda path: {_shown(audited, path)} & placeholders)
    says = f"the picture is in another split too and has {MANY} texts and answers or more: a placeholder"
    return [*findings, sharing_finding("placeholder", "warning", says, keyed, show=_show(audited))]


def _keyed(audited: Audited, key: Key, *, but: Collection[Hashable] = (), readable: bool = False) -> Keyed:
    """Mentions with a picture, one that can be read where it must be, by keys of its path; `but` some have none."""
    numbers, keyed = audited.contents.numbers, dict[str, dict[str, list[Hashable]]]()
    for split, mentions in audited.splits.items():
        rows = keyed[split] = {}
        for mention in mentions:
            paths = [path for path in audited.mention_pictures(mention) if path in numbers or not readable]
            if paths:
                rows[mention.id] = [k for path in paths if _shown(audited, path) not in but for k in key(path)]
    return keyed


def _placeholders(audited: Audited) -> set[Hashable]:
    texts: dict[Hashable, set[str]] = defaultdict(set)
    answers: dict[Hashable, set[str | None]] = defaultdict(set)
    for mentions in audited.splits.values():
        for mention in mentions:
            for path in audited.mention_pictures(mention):
                texts[_shown(audited, path)].add(bare(mention.text))
                answers[_shown(audited, path)].add(mention.answer)
    return {picture for picture, contexts in texts.items() if min(len(contexts), len(answers[picture])) >= MANY}


def _shown(audited: Audited, path: Path) -> Hashable:
    """What a file shows, as far as that is known; else the file."""
    return audited.contents.numbers.get(path, path)


def _show(audited: Audited) -> Callable[[str, str], str]:
    return lambda split, row: next(" and ".join(m.images) for m in audited.splits[split] if m.id == row)
