"""Training from a configuration to a run; stopped at any moment, it goes on where it was."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import DDPStrategy

from melder.data import DataSet
from melder.linking.configuration_file import read_yaml
from melder.linking.run import write_run
from melder.records import MelderError
from melder.training.checkpoints import SafetensorsIO, weights
from melder.training.configuration import Configuration
from melder.training.frozen import Counting
from melder.training.loader import PlannedLoader
from melder.training.module import TrainingModule
from melder.training.order import Plan
from melder.training.prepare import Prepared, open_data, prepare

__all__ = ["train"]


def train(
    configuration: Configuration,
    out: Path,
    *,
    counting: Counting | None = None,
    callbacks: tuple[Callback, ...] = (),
    dataset: DataSet | None = None,
) -> Path:
    """Train, keep the weights with the best selection MRR, and write a run into `out`.

    A training that was interrupted goes on from its last checkpoint. Raises `MelderError` when `out` holds a
    finished run, or an interrupted one of another configuration.
    """
    _claim(out, configuration)
    dataset = dataset or open_data(configuration)
    prepared = prepare(configuration, dataset, out / "features", counting or (lambda title, total: lambda done: None))
    trainer, module = _trainer(configuration, out, callbacks), _module(configuration, prepared)
    checkpoints = out / "checkpoints"
    plan = Plan(
        prepared.mentions,
        configuration.training.batch_size,
        configuration.training.seed,
        trainer.global_rank,
        configuration.training.processes,
    )
    loader = PlannedLoader(prepared.examples, plan, lambda: trainer.global_step, configuration.training.workers)
    last = checkpoints / "last.ckpt"
    trainer.fit(module, train_dataloaders=loader, ckpt_path=str(last) if last.is_file() else None)
    if trainer.interrupted:
        raise KeyboardInterrupt
    best = checkpoints / "best.ckpt"
    module.load_state_dict(weights(best) if best.is_file() else module.state_dict())
    if trainer.is_global_zero:
        write_run(out, prepared.model, configuration.model_dump(mode="json"))
    return out


def _claim(out: Path, configuration: Configuration) -> None:
    """Refuse a directory that holds something else; leave the configuration there for a later resumption."""
    if (out / "environment.json").is_file():
        raise MelderError(f"{out}: holds a finished run; name another directory, or remove this one first")
    started, content = out / "config.yaml", configuration.model_dump(mode="json")
    if started.is_file() and read_yaml(started) != content:
        raise MelderError(
            f"{started}: belongs to an interrupted training with other settings; repeat them to go on, or remove {out}"
        )
    if out.is_dir() and not started.is_file() and any(out.iterdir()):
        raise MelderError(f"{out}: is not empty and holds no run; name another directory")
    out.mkdir(parents=True, exist_ok=True)
    started.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _module(configuration: Configuration, prepared: Prepared) -> TrainingModule:
    training = configuration.training
    steps = Plan(prepared.mentions, training.batch_size, training.seed, processes=training.processes).steps
    published = bool(getattr(configuration.method, "published", False))
    return TrainingModule(
        prepared.model, training, steps=steps * training.epochs, mask_duplicates=not published, look=prepared.look
    )


def _trainer(configuration: Configuration, out: Path, callbacks: tuple[Callback, ...]) -> lightning.Trainer:
    training = configuration.training
    _quiet()
    return lightning.Trainer(
        default_root_dir=out,
        max_epochs=training.epochs,
        devices=training.processes,
        strategy=_strategy(training.processes),
        plugins=[SafetensorsIO()],
        callbacks=[*_callbacks(configuration, out), *callbacks],
        logger=CSVLogger(out, name="logs", version=""),
        gradient_clip_val=training.gradient_clip,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        log_every_n_steps=10,
    )


def _callbacks(configuration: Configuration, out: Path) -> list[Callback]:
    training, where = configuration.training, out / "checkpoints"
    return [
        EarlyStopping("mrr", mode="max", patience=training.patience, check_on_train_epoch_end=True),
        ModelCheckpoint(
            where,
            "best",
            monitor="mrr",
            mode="max",
            save_weights_only=True,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
            every_n_epochs=1,
        ),
        ModelCheckpoint(
            where,
            "last",
            every_n_train_steps=training.checkpoint_every,
            enable_version_counter=False,
        ),
    ]


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
