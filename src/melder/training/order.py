"""What happens in which step, as functions of (seed, epoch, step), so that resuming needs no random state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

__all__ = ["BatchPlan", "draw", "seed_step"]

_KINDS = {"order": 0, "hide": 1, "view": 2, "step": 3, "negative": 4, "plant": 5}


def draw(kind: str, *numbers: int) -> np.random.Generator:
    """The generator for one purpose at one place, the same every time.

    Args:
        kind: The purpose: order, hide, view, step, negative or plant.
        numbers: The place, such as seed, epoch and row.

    Returns:
        Of NumPy.
    """
    return np.random.default_rng([_KINDS[kind], *numbers])


def seed_step(seed: int, step: int) -> None:
    """Seed PyTorch's generators, from which dropout draws, as a function of the step alone.

    Args:
        seed: Of the training.
        step: Optimizer steps that were taken before.
    """
    torch.manual_seed(int(draw("step", seed, step).integers(2**62)))


@dataclass(frozen=True)
class BatchPlan:
    """Which mentions each step takes: a new order every epoch, the last, smaller batch included.

    With several processes each takes its part of every batch, and what would make the parts unequal is left out.

    Args:
        mentions: Training examples.
        batch_size: Of all processes together.
        seed: Of the order.
        rank: Of this process.
        processes: How many there are.
    """

    mentions: int
    batch_size: int
    seed: int
    rank: int = 0
    processes: int = 1

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        whole, rest = divmod(self.mentions, self.batch_size)
        return whole + (rest >= self.processes)

    def batches(self, epoch: int, start: int = 0) -> Iterator[np.ndarray]:
        """This process's rows of each batch of an epoch, from step `start` on."""
        order = draw("order", self.seed, epoch).permutation(self.mentions)
        for step in range(start, self.steps):
            batch = order[step * self.batch_size : (step + 1) * self.batch_size]
            share = len(batch) // self.processes
            yield batch[self.rank * share : (self.rank + 1) * share]

    def hidden(self, epoch: int, row: int, text: float, image: float) -> np.ndarray:
        """[2, 2] booleans: whether the (mention's, entity's) (text, picture) of example `row` is hidden."""
        return draw("hide", self.seed, epoch, row).random((2, 2)) < (text, image)
