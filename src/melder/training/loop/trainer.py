"""Lightning's trainer as Melder sets it up."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy

from melder.training.configuration import TrainingConfiguration
from melder.training.loop.checkpoints import SafetensorsIO
from melder.training.loop.finite import FiniteTraining
from melder.training.loop.loggers import build_loggers
from melder.training.loop.resumption import LastCheckpoint

__all__ = ["build_trainer"]


def build_trainer(training: TrainingConfiguration, out: Path, callbacks: Sequence[Callback]) -> lightning.Trainer:
    """A trainer that keeps its last checkpoint in `out`/checkpoints and its log in `out`/logs.

    Args:
        training: Epochs, processes and how often is looked.
        out: The directory of the run.
        callbacks: Of Lightning.

    Returns:
        Of Lightning.
    """
    _quiet()
    _keep_log(out / "logs" / "metrics.csv")
    path = out / "checkpoints" / "last.ckpt"
    finite = FiniteTraining(path)
    return lightning.Trainer(
        default_root_dir=out,
        max_epochs=training.epochs,
        accelerator="cuda" if torch.cuda.is_available() else "cpu",
        devices=training.processes,
        strategy=_strategy(training.processes),
        plugins=[SafetensorsIO()],
        callbacks=[finite, *callbacks, LastCheckpoint(path, training.checkpoint_every, finite.check)],
        enable_checkpointing=False,  # Lightning's own, a pickle each epoch
        logger=build_loggers(training.logger, out),
        gradient_clip_val=training.gradient_clip,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        log_every_n_steps=10,
    )


def _keep_log(log: Path) -> None:
    """Move the log of an interrupted training aside, as metrics-1.csv and so on: Lightning would delete it."""
    if log.is_file():
        earlier = len(list(log.parent.glob("metrics-*.csv")))
        log.rename(log.with_name(f"metrics-{earlier + 1}.csv"))


def _strategy(processes: int) -> Any:
    if processes == 1:
        return "auto"
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    return DDPStrategy(process_group_backend=backend, find_unused_parameters=True)


def _quiet() -> None:
    """Lightning's advertisements and hints are not for Melder's users."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\..*")
