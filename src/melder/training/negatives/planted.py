"""Copies of entities under new ids and names, put into the knowledge base that negatives are drawn from: how often a
copy of the right answer is drawn is how often a sampler that looks for hard negatives finds false ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from melder.records import Entity
from melder.training.order import draw

__all__ = ["Planted", "plant"]


def plant(entities: Sequence[Entity], share: float, seed: int) -> tuple[list[Entity], np.ndarray]:
    """Altered copies of a share of the entities.

    Args:
        entities: All of them.
        share: From 0 to 1.
        seed: By which they are drawn.

    Returns:
        The copies, and the rows [copies] of their originals.
    """
    count = math.ceil(share * len(entities))
    rows = np.sort(draw("plant", seed).choice(len(entities), count, replace=False))
    taken = {entity.id for entity in entities}
    return [_altered(entities[row], taken) for row in rows], rows


def _altered(entity: Entity, taken: set[str]) -> Entity:
    """Ann Lee becomes "Lee, Ann", Guinea "Guinea (the same)"; aliases stay away, all else is kept."""
    first, _, last = entity.name.rpartition(" ")
    name = f"{last}, {first}" if first else f"{entity.name} (the same)"
    new = f"{entity.id}-copy"
    while new in taken:
        new += "-copy"
    return entity.model_copy(update={"id": new, "name": name, "aliases": ()})


@dataclass(frozen=True)
class Planted:
    """Counts copies among drawn negatives.

    Args:
        originals: [copies], rows of the entities; the copies' own rows follow those of all entities.
        answers: [examples], rows of the right answers.
        entities: How many there are without the copies.
    """

    originals: np.ndarray
    answers: np.ndarray
    entities: int

    def false_negatives(self, rows: Tensor, drawn: Tensor) -> tuple[float, int]:
        """Of the draws [n, count] of examples whose answer has a copy: the share that are it, and their number."""
        answers = torch.from_numpy(self.answers)[rows.cpu()]
        copied = torch.isin(answers, torch.from_numpy(self.originals))
        entity_rows = drawn.cpu()[copied]
        if not entity_rows.numel():
            return 0.0, 0
        owner = torch.cat([torch.full((self.entities,), -1), torch.from_numpy(self.originals)])
        return float((owner[entity_rows] == answers[copied][:, None]).float().mean()), entity_rows.numel()
