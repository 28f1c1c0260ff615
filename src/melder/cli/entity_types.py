"""What to say of a type that no entity has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from melder.names import nearest
from melder.records import Entity, MelderError

if TYPE_CHECKING:
    from melder.protocols import Linker

__all__ = ["known_types", "unknown_type"]

OFFERED = 12  # types that a message names


def unknown_type(place: object, wanted: str, entities: Iterable[Entity]) -> MelderError:
    """The error, with the types that there are: those that look most like it, then the most frequent."""
    counts = Counter(kind for entity in entities for kind in entity.types)
    if not counts:
        return MelderError(f"{place}: no entity has the type {wanted!r}, nor any other; leave it out")
    offered = list(dict.fromkeys([*nearest(wanted, counts), *(kind for kind, _ in counts.most_common())]))
    more = f" and {len(offered) - OFFERED:,} more" if len(offered) > OFFERED else ""
    return MelderError(f"{place}: no entity has the type {wanted!r}; there are {', '.join(offered[:OFFERED])}{more}")


def known_types(linker: Linker, kinds: Sequence[str]) -> Any:
    """What the linker is to be given for entities of these types.

    Raises:
        MelderError: No entity has one of them, or the linker knows no types.
    """
    base = linker.knowledge_base
    for kind in kinds:
        try:
            linker.known_types([kind])
        except MelderError:
            if not linker.has_candidates:
                raise
            raise unknown_type(base.directory, kind, base.entities) from None
    return linker.known_types(kinds)
