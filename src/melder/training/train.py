"""Training from a configuration to a run; stopped at any moment, it goes on where it was."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import DDPStrategy

from melder.data import DataSet
from melder.evaluation.metrics import metrics
from melder.evaluation.name_match import name_match
from melder.linking.configuration_file import read_yaml
from melder.linking.run import write_json, write_run
from melder.records import BadRecord, MelderError, Mention
from melder.training.checkpoints import SafetensorsIO, weights
from melder.training.configuration import Configuration
from melder.training.frozen import Counting
from melder.training.loader import PlannedLoader
from melder.training.module import TrainingModule
from melder.training.order import Plan
from melder.training.prepare import OnUnreadable, Prepared, open_data, prepare
from melder.training.ranking import figures

__all__ = ["Trained", "train"]


@dataclass
class Trained:
    """The metrics of the whole selection set, which are in metrics.json, and the records left out of the data."""

    metrics: dict[str, Any]
    skipped: list[BadRecord]


def train(
    configuration: Configuration,
    out: Path,
    *,
    counting: Counting = lambda title, total: lambda done: None,
    callbacks: Sequence[Callback] = (),
    on_unreadable: OnUnreadable = None,
) -> Trained:
    """Train, keep the weights with the best selection MRR, and write a run with its selection metrics into `out`.

    A training that was interrupted goes on from its last checkpoint. Raises `MelderError` when `out` holds a
    finished run, or an interrupted one of another configuration.
    """
    _claim(out, configuration)
    dataset = open_data(configuration)
    prepared = prepare(configuration, dataset, out / "features", counting, on_unreadable)
    trainer = _trainer(configuration, out, callbacks)
    module = _module(configuration, prepared, trainer)
    last, best = out / "checkpoints" / "last.ckpt", out / "checkpoints" / "best.ckpt"
    trainer.fit(module, _loader(configuration, prepared, trainer), ckpt_path=str(last) if last.is_file() else None)
    if trainer.interrupted:
        raise KeyboardInterrupt
    module.load_state_dict(weights(best))
    selected = _selected(prepared, dataset, configuration)
    if trainer.is_global_zero:
        _write(out, prepared, configuration, selected)
    return Trained(selected, dataset.skipped)


def _selected(prepared: Prepared, dataset: DataSet, configuration: Configuration) -> dict[str, Any]:
    """Complete figures of the selection set, the name-match baseline beside them."""
    mentions = prepared.split.selection
    figures: dict[str, Any] = metrics(prepared.rank(mentions), len(dataset.entities))
    figures["name_match"] = metrics(name_match(mentions, dataset.entities), len(dataset.entities))
    source = prepared.split.source
    return {**figures, "split": "tune (held out of train)" if source == "train" else source}


def _write(out: Path, prepared: Prepared, configuration: Configuration, selected: dict[str, Any]) -> None:
    write_json(out / "metrics.json", selected)
    answers = sorted({str(mention.answer) for mention in prepared.split.train})
    write_json(out / "trained_on.json", {"answers": answers})
    write_run(out, prepared.model, configuration.model_dump(mode="json"))


def _plan(configuration: Configuration, prepared: Prepared, rank: int) -> Plan:
    training = configuration.training
    return Plan(len(prepared.split.train), training.batch_size, training.seed, rank, training.processes)


def _loader(configuration: Configuration, prepared: Prepared, trainer: lightning.Trainer) -> PlannedLoader:
    plan = _plan(configuration, prepared, trainer.global_rank)
    return PlannedLoader(prepared.examples, plan, lambda: trainer.global_step, configuration.training.workers)


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


def _module(configuration: Configuration, prepared: Prepared, trainer: lightning.Trainer) -> TrainingModule:
    training = configuration.training
    sample = _sample(prepared.split.selection, training.validate_mentions)
    return TrainingModule(
        prepared.model,
        training,
        steps=_plan(configuration, prepared, trainer.global_rank).steps * training.epochs,
        mask_duplicates=not getattr(configuration.method, "published", False),
        look=lambda: figures(prepared.rank(sample)),
    )


def _sample(mentions: Sequence[Mention], count: int | None) -> list[Mention]:
    """Every so many of the mentions, so that they come from the whole list."""
    step = max(1, len(mentions) // count) if count else 1
    return list(mentions)[::step][:count]


def _trainer(configuration: Configuration, out: Path, callbacks: Sequence[Callback]) -> lightning.Trainer:
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
