"""What draws negatives for training."""

from __future__ import annotations

from typing import Protocol

import numpy as np

__all__ = ["Sampler"]


class Sampler(Protocol):
    """Draws negatives for training examples, as a function of (seed, epoch, example) and perhaps of the model.

    Checkpoints are made at moments only at which it prepares, so that a training that goes on repeats the preparation
    instead of storing its outcome.

    Attributes:
        refresh: Steps, after which and at the start of an epoch it prepares with the model as it is then; None: its
            draws do not depend on the model.
        learns: It fulfils `melder.training.negatives.samplers.LearningSampler` too.
    """

    refresh: int | None

    @property
    def learns(self) -> bool: ...

    def prepare(self, rows: np.ndarray) -> None:
        """Get ready to draw for the examples `rows`, those of the coming steps."""
        ...

    def draw(self, seed: int, epoch: int, rows: np.ndarray) -> np.ndarray:
        """[rows, count] rows of entities; one of an example's own may be among them, and is masked later."""
        ...
