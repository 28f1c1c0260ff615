"""Lightning's trainer as Melder sets it up."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import DDPStrategy

from melder.training.checkpoints import SafetensorsIO
from melder.training.configuration import TrainingConfiguration

__all__ = ["build_trainer"]


def build_trainer(training: TrainingConfiguration, out: Path, callbacks: Sequence[Callback]) -> lightning.Trainer:
    """A trainer that keeps its last checkpoint in `out`/checkpoints and its log in `out`/logs."""
    _quiet()
    last = ModelCheckpoint(
        out / "checkpoints", "last", every_n_train_steps=training.checkpoint_every, enable_version_counter=False
    )
    return lightning.Trainer(
        default_root_dir=out,
        max_epochs=training.epochs,
        devices=training.processes,
        strategy=_strategy(training.processes),
        plugins=[SafetensorsIO()],
        callbacks=[*callbacks, last],
        logger=CSVLogger(out, name="logs", version=""),
        gradient_clip_val=training.gradient_clip,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        log_every_n_steps=10,
    )


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
