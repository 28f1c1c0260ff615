"""How far a training is, for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

__all__ = ["StepProgress"]


class StepProgress(Callback):  # type: ignore[misc]
    """A progress bar over all steps; `counting` starts one with a title and a total."""

    def __init__(self, counting: Callable[[str, int], Callable[[int], None]]) -> None:
        self.counting = counting
        self.advance: Callable[[int], None] = lambda done: None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.advance = self.counting("training", trainer.num_training_batches * (trainer.max_epochs or 1))
        self.advance(trainer.global_step)

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.advance(1)
