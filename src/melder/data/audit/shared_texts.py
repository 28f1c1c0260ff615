"""Sentences and captions that stand in several splits.

A text that comes with several pictures is a template ("Milk in a shop") rather than a source that was cut in two, as
`tune_split` has it too: it is a warning, no leak.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable

from melder.data.audit.audited import Audited
from melder.data.audit.findings import Finding
from melder.data.audit.sharing import Keyed, sharing_finding
from melder.data.audit.texts import bare
from melder.records import Mention

__all__ = ["shared_texts"]


def shared_texts(audited: Audited) -> list[Finding]:
    """The same text; the same text but for case, white space and punctuation; the same question; templates.

    Args:
        audited: A data set, read.

    Returns:
        In this order, those without rows too.
    """
    pictures = _pictures(audited)
    templates = {text for text, numbers in pictures.items() if len(numbers) > 1}

    def source(key: Callable[[Mention], Hashable]) -> Keyed:
        return _keyed(audited, lambda m: key(m) if bare(m.text) not in templates else None)

    def show(split: str, row: str) -> str:
        return repr(next(m.text for m in audited.splits[split] if m.id == row))

    question = sharing_finding(
        "same question",
        "leak",
        "text, surface and answer are those of a mention in another split",
        source(lambda m: (m.text, m.surface, m.answer)),
        show=show,
    )
    exact = sharing_finding(
        "same text",
        "leak",
        "the text is in another split too",
        source(lambda m: m.text),
        show=show,
        stronger=[question],
    )
    alike = sharing_finding(
        "same text but for writing",
        "leak",
        "the text is in another split too, but for case, white space or punctuation",
        source(lambda m: bare(m.text)),
        show=show,
        stronger=[question, exact],
    )
    template = sharing_finding(
        "same text, other pictures",
        "warning",
        "the text is in another split too and comes with several pictures: a template",
        _keyed(audited, lambda m: bare(m.text) if bare(m.text) in templates else None),
        show=show,
    )
    return [question, exact, alike, template]


def _keyed(audited: Audited, key: Callable[[Mention], Hashable]) -> Keyed:
    """Mentions by a key; those without a text, and those whose key is None, have none."""
    return {
        split: {m.id: [value] if m.text.strip() and (value := key(m)) is not None else [] for m in mentions}
        for split, mentions in audited.splits.items()
    }


def _pictures(audited: Audited) -> dict[str, set[Hashable]]:
    """The pictures that come with each text, by content where that is known."""
    by_text: dict[str, set[Hashable]] = defaultdict(set)
    for mentions in audited.splits.values():
        for mention in mentions:
            if (path := audited.picture(mention)) is not None:
                by_text[bare(mention.text)].add(audited.contents.numbers.get(path, path))
    return by_text
