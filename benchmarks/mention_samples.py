"""Which mentions the benchmarks measure on, and where their answers are."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

from melder.data import DataSet
from melder.linking.gold import gold_rows
from melder.records import Mention

__all__ = ["drawn", "gold_of"]


class Identified(Protocol):
    """What has an id: a mention, a prediction."""

    @property
    def id(self) -> str: ...


Row = TypeVar("Row", bound=Identified)


def drawn(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """So many of the rows at random, in the order of their ids, whatever order they came in."""
    ordered = sorted(rows, key=lambda row: row.id)
    return sorted(random.Random(seed).sample(ordered, min(count, len(ordered))), key=lambda row: row.id)


def gold_of(dataset: DataSet, mentions: Sequence[Mention]) -> list[int]:
    """The rows of the answers of mentions that all have one, among the entities of their data set."""
    return gold_rows(mentions, {entity.id: row for row, entity in enumerate(dataset.entities)})
