"""Uniform draws from the pool that `hard` and `policy_gradient` choose from: their control.

Whatever these two gain over it, they gain by choosing; what it gains over `uniform`, the pool gains. It is PGMEL with a
generator that is never trained.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from melder.data import DataSet
from melder.records import Mention
from melder.runs.model import entity_side_of, mention_side_of
from melder.training.negatives.candidates import Pool
from melder.training.negatives.configuration import NegativesConfiguration
from melder.training.negatives.current import CurrentModel
from melder.training.order import draw

__all__ = ["UniformPool"]


class UniformPool:
    """Independent draws for each mention, each of its candidates as probable as any other.

    Args:
        pool: Candidates of the examples.
        current: Features under the model as it is now.
        count: Negatives of an example.
        refresh: Steps until candidates are looked for anew.
    """

    refreshes = True
    learns = False

    def __init__(self, pool: Pool, current: CurrentModel, count: int, refresh: int) -> None:
        self.pool, self.current, self.count = pool, current, count
        self.refresh: int | None = refresh
        self.entity_rows = np.full((len(pool.answers), 2 * pool.k), -1, dtype=np.int64)
        self.ready = np.zeros(len(pool.answers), dtype=bool)

    @classmethod
    def build(
        cls, options: NegativesConfiguration, dataset: DataSet, mentions: Sequence[Mention], current: CurrentModel
    ) -> UniformPool:
        pool = Pool.of(dataset, mentions, options.candidates, current.model.matcher)
        return cls(pool, current, options.count, options.refresh)

    def prepare(self, rows: np.ndarray) -> None:
        matcher = self.current.model.matcher
        mentions = mention_side_of(matcher, self.current.mentions(rows))
        entities = entity_side_of(matcher, self.current.entities())
        self.entity_rows[rows] = self.pool.candidates(rows, matcher, mentions, entities)
        self.ready[rows] = True

    def draw(self, seed: int, epoch: int, rows: np.ndarray) -> np.ndarray:
        """The answer, which is masked later, stands for the negative of a mention without candidates."""
        assert self.ready[rows].all(), "prepare comes first"
        return np.stack([self._draw(seed, epoch, int(row)) for row in rows])

    def _draw(self, seed: int, epoch: int, row: int) -> np.ndarray:
        candidates = self.entity_rows[row][self.entity_rows[row] >= 0]
        chosen = candidates if len(candidates) else self.pool.answers[row : row + 1]
        drawn: np.ndarray = draw("negative", seed, epoch, row).choice(chosen, self.count)
        return drawn
