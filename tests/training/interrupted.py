"""Trainings that stop at a chosen moment: by an exception, or by SIGKILL in a process of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file
from torch import Tensor

from melder.records import Ranks
from melder.training.configuration import Configuration
from melder.training.loop.checkpoints import weights
from melder.training.loop.train import train

Record = dict[str, Any]


@dataclass(frozen=True)
class Moment:
    """When training stops. `what`:

    start: before the step that follows `step` finished ones (after a checkpoint and a look that were due)
    end: after `step` steps, before a checkpoint and before a look at the selection set
    looked: after the look that comes after `step` steps, before the checkpoint
    done: after all `step` steps, looks and checkpoints, before the run is written
    writing: after `step` steps, when the checkpoint is written but not yet in its place
    """

    what: str
    step: int


class Stopped(Exception):
    """Training was interrupted by a test."""


class StopAt(Callback):
    """Comes after the look and before the checkpoint."""

    def __init__(self, moment: Moment, kill: bool) -> None:
        self.moment, self.kill = moment, kill

    def on_train_batch_start(self, trainer: Any, *arguments: Any) -> None:
        self._pass("start", trainer.global_step)

    def on_train_batch_end(self, trainer: Any, *arguments: Any) -> None:
        self._pass("end", trainer.global_step)
        if self.moment == Moment("writing", trainer.global_step):
            os.replace = self._stop  # type: ignore[assignment]  # in a process that ends here

    def on_train_epoch_end(self, trainer: Any, *arguments: Any) -> None:
        self._pass("looked", trainer.global_step)

    def on_train_end(self, trainer: Any, *arguments: Any) -> None:
        self._pass("done", trainer.global_step)

    def _pass(self, what: str, step: int) -> None:
        if self.moment == Moment(what, step):
            self._stop()

    def _stop(self, *arguments: Any) -> None:
        if self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        raise Stopped


class Looks(Callback):
    """Looks at the selection set that are each better than the one before, or each worse, whatever the ranks are.

    The weights that are kept are then surely those of the last look, or of the first.
    """

    def __init__(self, better: bool) -> None:
        self.better, self.steps = better, 0

    def on_train_batch_end(self, trainer: Any, *arguments: Any) -> None:
        self.steps = trainer.global_step

    def figures(self, ranks: Ranks) -> dict[str, float]:
        return {"hits@1": 0.0, "mrr": 1 - 1 / self.steps if self.better else 1 / self.steps}


def run(
    content: Record, out: Path, moment: Moment | None = None, *, kill: bool = False, better_looks: bool = True
) -> None:
    """Train, or go on training, until the moment or to the end."""
    torch.set_num_threads(1)
    looks = Looks(better_looks)
    with patch("melder.training.loop.fit.figures", looks.figures):
        train(Configuration(**content), out, callbacks=[looks, *([StopAt(moment, kill)] if moment else [])])


def run_in_a_process(content: Record, out: Path, moment: Moment | None = None) -> int:
    """The same in a new process, which kills itself; gives its exit code."""
    # The fork server imports PyTorch once, and every process starts from there as new.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["melder.training.loop.train"])
    process = context.Process(target=run, args=(content, out, moment), kwargs={"kill": True})
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def result(out: Path) -> dict[str, Tensor]:
    """The run's weights and those after the very last step."""
    final = {f"run {name}": tensor for name, tensor in load_file(out / "model.safetensors").items()}
    return final | {f"last {name}": tensor for name, tensor in weights(out / "checkpoints/last.ckpt").items()}


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that are not equal bit for bit."""
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]
