"""Which names there are to write, and whose they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from melder.records import Entity

__all__ = ["Names", "name_of"]


@dataclass(frozen=True)
class Names:
    """The names that entities are answered with.

    Several owners are homonyms: a name alone cannot tell them apart. An entity without a name has none here, and can
    never be answered.

    Args:
        texts: The different names, in order.
        owners: The rows of the entities that have each.
    """

    texts: list[str]
    owners: list[list[int]]

    @staticmethod
    def of(entities: Iterable[Entity], *, aliases: bool = False) -> Names:
        """The names of entities and, with `aliases`, their other names."""
        owners: dict[str, list[int]] = {}
        for row, entity in enumerate(entities):
            every = [name_of(entity), *(alias.strip() for alias in entity.aliases if aliases)]
            for name in dict.fromkeys(label for label in every if label):
                owners.setdefault(name, []).append(row)
        return Names(list(owners), list(owners.values()))


def name_of(entity: Entity) -> str:
    """The name that answers with this entity: its name, or its first alias where it has none; "" = it has neither.

    Args:
        entity: Any.

    Returns:
        Without blanks around it.
    """
    return next((name.strip() for name in entity.names), "")
