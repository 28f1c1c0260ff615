"""Selection: a look at the selection set now and then, the best weights kept, the end when nothing improves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from melder.training.configuration import SelectionFigure

__all__ = ["LookSchedule", "Selection", "ValidationCallback"]

ValidationCallback = Callable[[int, Mapping[str, float]], None]  # the epoch, counted from 1, and the figures of a look


@dataclass(frozen=True)
class LookSchedule:
    """When there is a look, besides that at the end, and what it decides.

    Args:
        epochs: Every so many epochs, unless there are steps.
        steps: Every so many optimizer steps.
        patience: Looks without improvement before training stops.
        figure: What is best where it is highest.
        later: A look that is as good as the best counts as better.
        average: Looks, the best ones, whose weights are stored beside the best one's.
    """

    epochs: int
    patience: int
    steps: int | None = None
    figure: SelectionFigure = "mrr"
    later: bool = False
    average: int = 1


class Selection(Callback):  # type: ignore[misc]
    """Saves the weights of the best look into `best`; stops when looks have brought nothing better for long.

    Args:
        look: Hits@1 and mrr of the model as it is.
        on_validation: Gets the epoch and these figures. What was seen so far is part of the checkpoints, so that a
            resumed training selects as an undisturbed one.
    """

    def __init__(
        self,
        look: Callable[[], Mapping[str, float]],
        best: Path,
        schedule: LookSchedule,
        *,
        on_validation: ValidationCallback,
    ) -> None:
        self.look, self.best, self.schedule = look, best, schedule
        self.on_validation = on_validation
        self.highest = -1.0
        self.without_improvement = 0
        self.last_step = -1  # of the last look
        self.stored = list[tuple[float, int]]()  # figures and steps of the looks to average, best first

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *arguments: Any
    ) -> None:
        if self.schedule.steps is not None and trainer.global_step % self.schedule.steps == 0:
            self._select(trainer, pl_module)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        due = self.schedule.steps is None and epoch % self.schedule.epochs == 0
        if due or (epoch == trainer.max_epochs and self.last_step != trainer.global_step):
            self._select(trainer, pl_module)

    def _select(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        figures, self.last_step = self.look(), trainer.global_step
        pl_module.log_dict(dict(figures))
        if trainer.is_global_zero:
            self.on_validation(trainer.current_epoch + 1, figures)
        figure = figures[self.schedule.figure]
        if figure > self.highest or (self.schedule.later and figure == self.highest):
            self.highest, self.without_improvement = figure, 0
            trainer.save_checkpoint(self.best, weights_only=True)
        else:
            self.without_improvement += 1
        if self.schedule.average > 1:
            self._store(trainer, figure)
        trainer.should_stop = trainer.should_stop or self.without_improvement >= self.schedule.patience

    @property
    def averaged(self) -> list[Path]:
        """The weights of the looks to average, best first."""
        return [self._file(step) for _, step in self.stored]

    def _store(self, trainer: lightning.Trainer, figure: float) -> None:
        """Weights beside the earlier ones', of which the worst are removed: only where so many looks are better."""
        order = -1 if self.schedule.later else 1
        looks = sorted([*self.stored, (figure, self.last_step)], key=lambda look: (-look[0], order * look[1]))
        self.stored, left = looks[: self.schedule.average], looks[self.schedule.average :]
        if (figure, self.last_step) in self.stored:
            trainer.save_checkpoint(self._file(self.last_step), weights_only=True)
        if trainer.is_global_zero:
            for _, step in left:
                self._file(step).unlink(missing_ok=True)

    def _file(self, step: int) -> Path:
        return self.best.with_name(f"look-{step}.ckpt")

    def state_dict(self) -> dict[str, Any]:
        return {
            "highest": self.highest,
            "without_improvement": self.without_improvement,
            "last_step": self.last_step,
            "stored": self.stored,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.highest, self.without_improvement = state_dict["highest"], state_dict["without_improvement"]
        self.last_step = state_dict.get("last_step", -1)
        self.stored = state_dict.get("stored", [])
