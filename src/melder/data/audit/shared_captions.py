"""Captions whose mentions stand in several splits, by their ids.

The ids of WikiMEL and WikiDiverse are caption-number: "26658-0" and "26658-1" are mentions of one caption. Whether
the ids of a data set are meant so shows in the texts of mentions with a common caption: they are the same.
"""

from __future__ import annotations

import re
from collections import defaultdict

from melder.data.audit.audited import Audited
from melder.data.audit.findings import Finding
from melder.data.audit.sharing import sharing_finding

__all__ = ["shared_captions"]

_ID = re.compile(r"(.+)-\d+")
_CERTAIN = 0.9  # share of the further mentions of a caption that must repeat its text


def shared_captions(audited: Audited) -> list[Finding]:
    """Mentions of one caption, by id, in different splits.

    Args:
        audited: A data set, read.

    Returns:
        In this order, those without rows too.
    """
    captions = {split: {m.id: _caption(m.id) for m in mentions} for split, mentions in audited.splits.items()}
    meant = _are_captions(audited)
    finding = sharing_finding(
        "same caption",
        "leak",
        "the id says that it is of a caption with mentions in another split",
        {split: {row: [c] if c and meant else [] for row, c in rows.items()} for split, rows in captions.items()},
        show=lambda split, row: f"caption {captions[split][row]}",
    )
    return [finding]


def _caption(identifier: str) -> str | None:
    match = _ID.fullmatch(identifier)
    return match and match.group(1)


def _are_captions(audited: Audited) -> bool:
    """Whether what precedes the number stands for a text: one for each, in (nearly) all cases that can tell."""
    texts: dict[str, list[str]] = defaultdict(list)
    for mentions in audited.splits.values():
        for mention in mentions:
            if (caption := _caption(mention.id)) is not None:
                texts[caption].append(mention.text)
    further = sum(len(same_caption) - 1 for same_caption in texts.values())
    repeated = sum(len(same_caption) - len(set(same_caption)) for same_caption in texts.values())
    return further > 0 and repeated >= _CERTAIN * further
