"""Texts by language as records have them: `"name": {"en": "Germany", "de": "Deutschland"}`, and so `description` and
`aliases`, which may be lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from melder.languages import is_tag

__all__ = ["LABELS", "with_labels"]

LABELS = {"name": "labels", "description": "descriptions"}  # the field for texts by language of each field


def with_labels(record: Mapping[str, Any]) -> dict[str, Any]:
    """An entity's fields with what is said by language taken apart.

    Args:
        record: what a file has; of a mention, which has no such fields, nothing changes

    Returns:
        the fields: the first text stands for all, and all of them are `labels` or `descriptions`. What is no text by
        language stays as it is, for whoever validates the record.
    """
    fields = dict(record)
    for field, several in LABELS.items():
        texts = fields.get(field)
        if isinstance(texts, dict) and _by_tag(texts) and all(isinstance(text, str) for text in texts.values()):
            said = {tag: text for tag, text in texts.items() if text.strip()}
            fields |= {field: next(iter(said.values()), ""), several: said}
    aliases = fields.get("aliases")
    if isinstance(aliases, dict) and _by_tag(aliases):
        lists = [names if isinstance(names, list) else [names] for names in aliases.values()]
        fields["aliases"] = [name for names in lists for name in names]
    return fields


def _by_tag(texts: Mapping[str, object]) -> bool:
    return all(is_tag(tag.lower()) for tag in texts)
