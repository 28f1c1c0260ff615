"""How far a training is, for people: on the screen, and in the run's own log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from melder.io.progress_lines import ProgressLines
from melder.protocols import Counting, Progress

__all__ = ["LOG", "ProgressLog", "StepProgress", "validation_line"]

LOG = "progress.log"  # in a run's directory `logs`


class ProgressLog:
    """The lines of a training in a file, each with its time; an interrupted training that goes on adds to it.

    Of several processes of a training the first one writes.

    Args:
        path: Of the file.
        every: Seconds between two lines of one bar.
    """

    def __init__(self, path: Path, every: float = 30.0) -> None:
        self.path = path
        self._lines = ProgressLines(self.write, every)

    def write(self, line: str) -> None:
        if rank_zero_only.rank:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {line}\n")

    def beside(self, counting: Counting) -> Counting:
        """What counts as `counting` does, and into the log too."""

        def start(title: str, total: int) -> Progress:
            advances = counting(title, total), self._lines(title, total)

            def advance(done: int) -> None:
                for one in advances:
                    one(done)

            return advance

        return start


class StepProgress(Callback):  # type: ignore[misc]
    """Counts all steps of a training.

    Args:
        counting: Starts a progress bar with a title and a total.
    """

    def __init__(self, counting: Counting) -> None:
        self.counting = counting
        self.advance: Progress = lambda done: None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.is_global_zero:
            self.advance = self.counting("training", trainer.num_training_batches * (trainer.max_epochs or 1))
            self.advance(trainer.global_step)

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.advance(1)


def validation_line(epoch: int, figures: Mapping[str, float]) -> str:
    """A look at the selection set as a line.

    Args:
        epoch: Its number.
        figures: By name.

    Returns:
        In words.
    """
    values = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
    return f"epoch {epoch}: {values} on a sample of the selection set"
