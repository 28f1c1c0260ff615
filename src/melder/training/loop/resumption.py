"""Checkpoints to go on from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

__all__ = ["LastCheckpoint"]


class LastCheckpoint(Callback):  # type: ignore[misc]
    """Saves the state of training into `path` every so many steps; comes after all callbacks that have a state.

    At the last step of an epoch it waits for the epoch's end: resumed from a checkpoint made before that, Lightning
    takes the epoch for finished and leaves the look at the selection set out. A training that is to stop early
    is not saved either, since it would go on when it is resumed: it repeats some steps, and stops again.

    Args:
        check: Raises for a state that must not take the place of the last one.
    """

    def __init__(self, path: Path, every: int, check: Callable[[lightning.Trainer], None]) -> None:
        self.path, self.every, self.check = path, every, check

    def on_train_batch_end(self, trainer: lightning.Trainer, *arguments: Any) -> None:
        if not trainer.is_last_batch and not trainer.should_stop:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not trainer.should_stop:
            self._save(trainer)

    def _save(self, trainer: lightning.Trainer) -> None:
        if trainer.global_step % self.every == 0:
            self.check(trainer)
            trainer.save_checkpoint(self.path)
