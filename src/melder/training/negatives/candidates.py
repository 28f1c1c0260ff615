"""The candidates that hard negatives are chosen from: names that look alike, and vectors that are near."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest

import numpy as np

from melder.data import DataSet
from melder.features import Side
from melder.protocols import Matcher
from melder.records import Entity, Mention
from melder.search.candidates import dense_candidates, lexical_candidates

__all__ = ["Pool", "folds_names", "same_entity"]


class Pool:
    """Candidates of training examples.

    Args:
        mentions: The examples, which are all answered by one of the entities.
        entities: All of them.
        numbers: [entities], one for those that are no negatives of each other; an example's own group is left out.
        k: How many by name, and how many by vector.
        fold: Whether names are compared as the lexical unit does that folds them.
    """

    def __init__(
        self,
        mentions: Sequence[Mention],
        entities: Sequence[Entity],
        numbers: np.ndarray,
        k: int,
        *,
        fold: bool = False,
    ) -> None:
        row_of = {entity.id: number for number, entity in enumerate(entities)}
        self.answers = np.array([row_of[str(mention.answer)] for mention in mentions])
        self.numbers, self.k = numbers, k
        self.more = k + min(k, int(np.bincount(numbers).max()))  # so many of them may be left out
        self.by_name = lexical_candidates([mention.surface for mention in mentions], entities, self.more, fold=fold)

    @classmethod
    def of(cls, dataset: DataSet, mentions: Sequence[Mention], k: int, matcher: Matcher) -> Pool:
        """The pool of a data set's entities."""
        return cls(mentions, dataset.entities, same_entity(dataset), k, fold=folds_names(matcher))

    def candidates(self, rows: np.ndarray, matcher: Matcher, mentions: Side, entities: Side) -> np.ndarray:
        """[rows, 2 k]: by name and by the vectors of the sides of these rows and of all entities, best of each in
        turn; -1 fills up."""
        sources = self.by_name[rows], dense_candidates(matcher, mentions, entities, self.more)
        chosen = np.full((len(rows), 2 * self.k), -1, dtype=np.int64)
        for place, row in enumerate(rows):
            own = self.numbers[self.answers[row]]
            lists = [self._others(rows_by[place], own) for rows_by in sources]
            entity_rows = dict.fromkeys(c for c in chain(*zip_longest(*lists)) if c is not None)
            chosen[place, : len(entity_rows)] = list(entity_rows)
        return chosen

    def _others(self, rows: np.ndarray, own: int) -> list[int]:
        """The first k that are not of the group `own`."""
        others: list[int] = rows[self.numbers[rows] != own][: self.k].tolist()
        return others


def folds_names(matcher: Matcher) -> bool:
    """Whether names are compared as people compare them; in earlier and in published runs they are not.

    Args:
        matcher: That is trained.

    Returns:
        Whether they are.
    """
    return matcher.lexical is not None and matcher.lexical.fold


def same_entity(dataset: DataSet) -> np.ndarray:
    """Numbers that entities with equal names and descriptions share: they are no negatives of each other.

    Args:
        dataset: Of the entities.

    Returns:
        [entities], int64.
    """
    number: dict[tuple[tuple[str, ...], str], int] = {}
    keys = [(tuple(sorted(entity.names)), entity.description) for entity in dataset.entities]
    return np.array([number.setdefault(key, len(number)) for key in keys], dtype=np.int64)
