"""How far a training is, for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

__all__ = ["StepProgress"]


class StepProgress(Callback):  # type: ignore[misc]
    """A progress bar over all steps, and a line for each look at the selection set.

    counting: starts a bar with a title and a total; say: prints a line.
    """

    def __init__(self, counting: Callable[[str, int], Callable[[int], None]], say: Callable[[str], None]) -> None:
        self.counting = counting
        self.say = say
        self.advance: Callable[[int], None] = lambda done: None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.advance = self.counting("training", trainer.num_training_batches * (trainer.max_epochs or 1))
        self.advance(trainer.global_step)

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.advance(1)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        figures = pl_module.looked
        if figures and trainer.is_global_zero:
            shown = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
            self.say(f"epoch {trainer.current_epoch + 1}: {shown} on a sample of the selection set")
