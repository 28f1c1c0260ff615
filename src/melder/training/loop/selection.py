"""Selection: a look at the selection set every few epochs, the best weights kept, the end when nothing improves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

__all__ = ["Selection", "ValidationCallback"]

ValidationCallback = Callable[[int, Mapping[str, float]], None]  # the epoch, counted from 1, and the figures of a look


class Selection(Callback):  # type: ignore[misc]
    """Saves the weights with the best mean reciprocal rank into `best`; stops after `patience` looks without a better.

    Args:
        look: Hits@1 and mrr of the model as it is.
        on_validation: Gets the epoch and these figures. What was seen so far is part of the checkpoints, so that a
            resumed training selects as an undisturbed one.
    """

    def __init__(
        self,
        look: Callable[[], Mapping[str, float]],
        best: Path,
        *,
        every: int,
        patience: int,
        on_validation: ValidationCallback,
    ) -> None:
        self.look, self.best, self.every, self.patience = look, best, every, patience
        self.on_validation = on_validation
        self.highest = -1.0
        self.without_improvement = 0

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every and epoch != trainer.max_epochs:
            return
        figures = self.look()
        pl_module.log_dict(dict(figures))
        if trainer.is_global_zero:
            self.on_validation(epoch, figures)
        if figures["mrr"] > self.highest:
            self.highest, self.without_improvement = figures["mrr"], 0
            trainer.save_checkpoint(self.best, weights_only=True)
        else:
            self.without_improvement += 1
        trainer.should_stop = trainer.should_stop or self.without_improvement >= self.patience

    def state_dict(self) -> dict[str, Any]:
        return {"highest": self.highest, "without_improvement": self.without_improvement}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.highest, self.without_improvement = state_dict["highest"], state_dict["without_improvement"]
