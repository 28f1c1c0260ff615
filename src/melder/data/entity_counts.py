"""How much of what a file of entities holds, counted in one reading."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from melder.data.entity_file import EntityFile
from melder.io.problems import Problems
from melder.names import folded
from melder.records import Entity

__all__ = ["EntityCounts", "count_entities"]

FIRST = 2  # entities that are shown as they were read


@dataclass(frozen=True)
class EntityCounts:
    """Entities, and how many of them have what.

    Args:
        entities: How many there are.
        named, aliases, described, typed, pictured: How many have a name, aliases, a description, types, pictures.
        homonyms: How many share their name with another.
        kinds: Types and how often each occurs, the most frequent first.
        first: The first entities of the file.
    """

    entities: int
    named: int
    aliases: int
    described: int
    typed: int
    pictured: int
    homonyms: int
    kinds: list[tuple[str, int]]
    first: list[Entity]


def count_entities(source: EntityFile) -> tuple[EntityCounts, Problems]:
    """The counts of a file, and everything that is wrong with it.

    Args:
        source: Read through.

    Returns:
        Both.

    Raises:
        MelderError: There is nothing in it.
    """
    having, kinds, names = Counter[str](), Counter[str](), Counter[str]()
    first = list[Entity]()

    def look(entity: Entity) -> None:
        having.update(name for name in ("name", "aliases", "description", "types") if getattr(entity, name))
        having["images"] += any(map(source.picture_names.is_there, entity.images))
        kinds.update(entity.types)
        names.update({folded(entity.name)} - {""})
        first.extend([entity][: FIRST - len(first)])

    count, problems = source.check(look=look)
    counts = EntityCounts(
        count,
        having["name"],
        having["aliases"],
        having["description"],
        having["types"],
        having["images"],
        sum(times for times in names.values() if times > 1),
        kinds.most_common(),
        first,
    )
    return counts, problems
