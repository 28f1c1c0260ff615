"""Columns in a language: `name@de`, `aliases@de` and `description@de` beside, or in the place of, those without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from melder.languages import is_tag

__all__ = ["field_in_language", "fields_by_language", "without_language"]

LOCALISED = ("name", "aliases", "description")
Values = Mapping[str, "str | tuple[str, ...]"]


def field_in_language(header: str, fields: Sequence[str]) -> str | None:
    """The field that a header names, such as `name` or `name@de`; None where it is none of these fields.

    Args:
        header: Of a column.
        fields: That may be in a language.

    Returns:
        Such as `name@de`.
    """
    field, sign, tag = header.partition("@")
    field, tag = field.strip(), tag.strip().lower().replace("_", "-")
    if field not in fields:
        return None
    if not sign:
        return field
    return f"{field}@{tag}" if field in LOCALISED and is_tag(tag) else None


def without_language(field: str) -> str:
    """The field of a column in a language.

    Args:
        field: Such as `name@de`.

    Returns:
        Such as `name`.
    """
    return field.partition("@")[0]


def fields_by_language(values: Values) -> dict[str, Any]:
    """An entity's fields from those of a row, of which some are in a language.

    What is in no language is shown by default, else what is in the first; aliases in all languages are aliases.

    Args:
        values: By field, such as `name@de`.

    Returns:
        By field.
    """
    fields: dict[str, Any] = {field: value for field, value in values.items() if "@" not in field}
    for column, value in values.items():
        field, sign, tag = column.partition("@")
        if sign and field == "aliases":
            fields[field] = (*fields.get(field, ()), *value)
        elif sign:
            fields.setdefault(field, value)
            fields.setdefault("labels" if field == "name" else "descriptions", {})[tag] = value
    return fields
