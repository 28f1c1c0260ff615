"""Hard negatives: of the whole knowledge base, the entities that the model as it is scores highest.

A first stage finds candidates by name and by vector, the matcher then scores each of them. That is done every `refresh`
steps for the examples of the coming ones only, so that its cost is spread evenly over the training.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from melder.data import DataSet
from melder.features import Side
from melder.ops.largest import largest
from melder.records import Mention
from melder.runs.model import answering, entity_side_of, mention_side_of
from melder.training.negatives.candidates import Pool
from melder.training.negatives.configuration import NegativesConfiguration
from melder.training.negatives.current import CurrentModel

__all__ = ["Hard"]


class Hard:
    """The hardest candidates of each example, the same ones until the next refresh that it is part of.

    Args:
        pool: Candidates of the examples.
        current: Features under the model as it is now.
        count: Negatives of an example.
        refresh: Steps until they are looked for anew.
    """

    refreshes = True
    learns = False

    def __init__(self, pool: Pool, current: CurrentModel, count: int, refresh: int) -> None:
        self.pool, self.current, self.count = pool, current, count
        self.refresh: int | None = refresh
        self.found = np.full((len(pool.answers), count), -1, dtype=np.int64)

    @classmethod
    def build(
        cls, options: NegativesConfiguration, dataset: DataSet, mentions: Sequence[Mention], current: CurrentModel
    ) -> Hard:
        return cls(
            Pool.of(dataset, mentions, options.candidates, current.model.matcher),
            current,
            options.count,
            options.refresh,
        )

    def prepare(self, rows: np.ndarray) -> None:
        matcher = self.current.model.matcher
        entities = entity_side_of(matcher, self.current.entities())
        mentions = mention_side_of(matcher, self.current.mentions(rows))
        candidates = self.pool.candidates(rows, matcher, mentions, entities)
        for place, row in enumerate(rows):
            entity_rows = candidates[place][candidates[place] >= 0]
            self.found[row] = self._hardest(mentions.take(slice(place, place + 1)), entities, entity_rows, row)

    def draw(self, seed: int, epoch: int, rows: np.ndarray) -> np.ndarray:
        assert (self.found[rows] >= 0).all(), "prepare comes first"
        found: np.ndarray = self.found[rows]
        return found

    def _hardest(self, mention: Side, entities: Side, rows: np.ndarray, row: int) -> np.ndarray:
        """[count]; where there are fewer candidates the best stands there again, or the answer: both are masked."""
        if not len(rows):
            return np.full(self.count, self.pool.answers[row])
        rows = np.sort(rows)
        chosen = torch.from_numpy(rows).to(entities.device)
        with answering(self.current.model.matcher) as matcher:
            scores = matcher.score(mention, entities.take(chosen)).total[0]
        best = rows[largest(scores, self.count)[1].cpu().numpy()]
        return np.concatenate([best, np.full(self.count - len(best), best[0])])
