"""Several records of one entity made one: queries and relational tables write a row for each alias or picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from melder.data.tables.options import Notes
from melder.records import Entity

__all__ = ["merged"]


def merged(records: Iterable[tuple[int, Entity]], notes: Notes) -> Iterator[tuple[int, Entity]]:
    """One entity an id, with the number of its first row; all are held at once.

    The first name and the first description count; other names become aliases, and lists are put together.

    Args:
        records: Numbers of rows, and what each says of an entity.
        notes: Told how many rows were put together.

    Yields:
        In the order of the first rows.
    """
    first, entities, rows = dict[str, int](), dict[str, Entity](), dict[str, int]()
    for number, entity in records:
        earlier = entities.get(entity.id)
        entities[entity.id] = entity if earlier is None else _joined(earlier, entity, notes)
        first.setdefault(entity.id, number)
        rows[entity.id] = rows.get(entity.id, 0) + 1
    if several := sum(count > 1 for count in rows.values()):
        notes.add("{} [entity has|entities have] several rows, which are one entity", several)
    for identity, entity in entities.items():
        yield first[identity], entity


def _joined(first: Entity, second: Entity, notes: Notes) -> Entity:
    if second.description and first.description and second.description != first.description:
        notes.add("{} [row has|rows have] another description than the first of [its|their] entity; it is left out")
    names = (first.name, *first.aliases, second.name, *second.aliases, *_other_labels(first, second))
    return Entity(
        id=first.id,
        name=first.name or second.name,
        aliases=tuple(dict.fromkeys(name for name in names if name and name != (first.name or second.name))),
        description=first.description or second.description,
        types=tuple(dict.fromkeys((*first.types, *second.types))),
        images=tuple(dict.fromkeys((*first.images, *second.images))),
        labels={**second.labels, **first.labels},
        descriptions={**second.descriptions, **first.descriptions},
    )


def _other_labels(first: Entity, second: Entity) -> list[str]:
    """Names of the second in languages in which the first has another one."""
    return [name for tag, name in second.labels.items() if first.labels.get(tag, name) != name]
