"""The entities of a knowledge base as a sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, overload

from melder.records import Entity

__all__ = ["Entities", "RecordSource"]

AT_ONCE = 1000  # records read together


class RecordSource(Protocol):
    """What holds entities by row and reads them when asked."""

    def __len__(self) -> int: ...

    def records(self, rows: Sequence[int]) -> list[Entity]: ...


class Entities(Sequence[Entity]):
    """The entities of a knowledge base by row, read from the disk each time.

    Args:
        base: Reads records by row.
    """

    def __init__(self, base: RecordSource) -> None:
        self._base = base

    def __len__(self) -> int:
        return len(self._base)

    @overload
    def __getitem__(self, row: int) -> Entity: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[Entity]: ...

    def __getitem__(self, row: int | slice) -> Entity | Sequence[Entity]:
        chosen = range(len(self))[row]
        return self._base.records([chosen])[0] if isinstance(chosen, int) else self._base.records(chosen)

    def __iter__(self) -> Iterator[Entity]:
        for start in range(0, len(self), AT_ONCE):
            yield from self[start : start + AT_ONCE]
