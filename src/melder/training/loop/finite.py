"""A training that turns to NaN or infinity ends, and leaves the last checkpoint that is good."""

from __future__ import annotations

from pathlib import Path

import lightning
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from melder.ops.not_finite import not_finite
from melder.records import MelderError

__all__ = ["FiniteTraining"]


class FiniteTraining(Callback):  # type: ignore[misc]
    """Ends a training whose loss or weights are no numbers any more; comes before all callbacks that save them.

    Args:
        last: The checkpoint that a training goes on from.
    """

    def __init__(self, last: Path) -> None:
        self.last = last

    def on_before_backward(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, loss: Tensor
    ) -> None:
        if not bool(loss.detach().isfinite().all()):
            self._end(trainer, "the loss")

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.check(trainer)

    def check(self, trainer: lightning.Trainer) -> None:
        """Raises MelderError where a weight that is learned is no number."""
        learned = {name: tensor for name, tensor in trainer.lightning_module.named_parameters() if tensor.requires_grad}
        if name := not_finite(learned):
            self._end(trainer, f"the weights {name!r}")

    def _end(self, trainer: lightning.Trainer, what: str) -> None:
        left = f"the last good checkpoint is {self.last}" if self.last.is_file() else "no checkpoint was written before"
        raise MelderError(
            f"{self.last.parents[1]}: at step {trainer.global_step:,} {what} turned into NaN or infinity; {left}; "
            "train into another directory with a lower training.learning_rate, or with training.gradient_clip=1"
        )
