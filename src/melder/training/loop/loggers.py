"""Where a training's figures go beside its own table, `logs/metrics.csv`: Lightning's loggers by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from melder.records import MelderError
from melder.registry import Entry, Registry

__all__ = ["LOGGERS", "build_loggers", "check_logger"]

CSV, DEFAULT = "csv", "tensorboard"  # DEFAULT: where it is installed and nothing is named
PROJECT = "melder"  # what runs are filed under, where a service files them

LOGGERS = Registry[Callable[[Path], list[Logger]]](
    "logger",
    "melder.loggers",
    (
        Entry(CSV, "melder.training.loop.loggers:log_nowhere_else", "the run's own table, logs/metrics.csv, alone"),
        Entry("tensorboard", "melder.training.loop.loggers:log_events", "an event file beside it", "tensorboard"),
        Entry("wandb", "melder.training.loop.loggers:log_to_wandb", "Weights & Biases, as its settings say", "wandb"),
        Entry("mlflow", "melder.training.loop.loggers:log_to_mlflow", "MLflow, at MLFLOW_TRACKING_URI", "mlflow"),
    ),
)


def check_logger(name: str | None) -> None:
    """Refuse a logger that there is not, or whose package is not installed.

    Args:
        name: Of the logger; None = whichever is there.

    Raises:
        MelderError: With what is to be installed.
    """
    if name is None:
        return
    LOGGERS.get(name)
    extra = next(entry.extra for entry in LOGGERS.entries() if entry.name == name)
    if extra is not None and find_spec(extra) is None:  # the extra is called as the package that it brings
        raise MelderError(f"training.logger {name} needs its package: pip install 'melder[{extra}]'")


def build_loggers(name: str | None, out: Path) -> list[Logger]:
    """The table in `out`/logs, which reports read, and the logger of this name; None = TensorBoard if it is there.

    Args:
        name: Of the logger; None = TensorBoard if it is there.
        out: The directory of the run.

    Returns:
        For Lightning.
    """
    chosen = name if name is not None else DEFAULT if find_spec(DEFAULT) is not None else CSV
    table = CSVLogger(out, name="logs", version="", flush_logs_every_n_steps=1)
    return [table, *LOGGERS.get(chosen)(out)]


def log_nowhere_else(out: Path) -> list[Logger]:
    return []


def log_events(out: Path) -> list[Logger]:
    return [TensorBoardLogger(out, name="logs", version="", default_hp_metric=False)]


def log_to_wandb(out: Path) -> list[Logger]:
    return [EndingWandbLogger(name=str(out), project=PROJECT, save_dir=out / "logs")]


def log_to_mlflow(out: Path) -> list[Logger]:
    """Without an address the files lie in `out`/logs/mlruns."""
    return [MLFlowLogger(PROJECT, run_name=str(out), save_dir=str(out / "logs" / "mlruns"))]


class EndingWandbLogger(WandbLogger):  # type: ignore[misc]
    """One whose run ends with the training: the next training in this process would log into it otherwise."""

    _experiment: Any

    def finalize(self, status: str) -> None:
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)
            self._experiment = None
