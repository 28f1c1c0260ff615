"""Fields of JSON under other names: `--column name=label` says of an object what it says of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from melder.data.own import Complete
from melder.data.tables.options import Notes
from melder.names import folded
from melder.records import MelderError

__all__ = ["with_columns"]


def with_columns(
    complete: Complete, columns: Sequence[tuple[str, str]], fields: Sequence[str], notes: Notes
) -> Complete:
    """What completes an object whose fields have other names.

    Args:
        complete: asked afterwards
        columns: (field, name in the object) pairs, as the user says; a name in any case will do
        fields: that there are
        notes: told of what is left out

    Returns:
        what makes the fields of a record of an object and its number

    Raises:
        MelderError: There is no such field.
    """
    if wrong := next((pair for pair in columns if pair[0] not in fields), None):
        raise MelderError(f"--column {wrong[0]}={wrong[1]}: there is no field {wrong[0]!r}; use {', '.join(fields)}")

    def renamed(value: Mapping[str, Any], number: int) -> dict[str, Any]:
        names = {folded(name): name for name in value}
        content = {field: value[names[folded(name)]] for field, name in columns if folded(name) in names}
        in_use = {folded(name) for _, name in columns}
        for field, name in columns:
            if folded(name) not in names:
                notes.add(f"{{}} [object has|objects have] no {name!r} for the field {field} (--column {field}={name})")
        for name in value:
            if name in fields and name not in content and folded(name) not in in_use:
                content[name] = value[name]
            elif name not in fields and folded(name) not in in_use:
                notes.add(f"the field {name!r} is left out")
        return complete(content, number)

    return renamed
