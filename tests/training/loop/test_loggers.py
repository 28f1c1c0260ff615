"""Where a training logs to, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from melder.evaluation.report import read_curves
from melder.records import MelderError
from melder.training.configuration import Configuration
from melder.training.loop import loggers
from melder.training.loop.train import train
from training.small import settings


def test_csv_is_the_table_alone(small_data: Path, tmp_path: Path) -> None:
    train(Configuration(**settings(small_data, epochs=1, batch_size=20, logger="csv")), tmp_path)
    assert "mrr" in read_curves(tmp_path)
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {"metrics.csv", "progress.log"}


def test_tensorboard_is_beside_the_table(tmp_path: Path) -> None:
    """What it holds of a training, test_train.py looks at."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for logger in loggers.build_loggers("tensorboard", tmp_path):
        logger.log_metrics({"mrr": 0.5}, step=3)
        logger.finalize("success")
    assert read_curves(tmp_path) == {"mrr": [(3, 0.5)]}
    events = accumulator.EventAccumulator(str(tmp_path / "logs"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("mrr")] == [(3, 0.5)]


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_package_that_is_missing_is_named_before_anything_is_done(
    name: str, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda package: None)
    with pytest.raises(
        MelderError, match=rf"^training.logger {name} needs its package: pip install 'melder\[{name}]'$"
    ):
        train(Configuration(**settings(small_data, logger=name)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_without_a_name_tensorboard_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda package: None)
    loggers.check_logger(None)
    (table,) = loggers.build_loggers(None, tmp_path)
    assert type(table).__name__ == "CSVLogger"


@pytest.mark.parametrize("name", ["tensorbord", "WANDB", ""])
def test_a_logger_that_there_is_not(name: str, small_data: Path, tmp_path: Path) -> None:
    with pytest.raises(MelderError, match=f"there is no logger '{name}'"):
        train(Configuration(**settings(small_data, logger=name)), tmp_path / "run")


def test_a_run_of_weights_and_biases_ends_with_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a service's logger that could not be made here only this is Melder's."""

    class Run:
        codes: tuple[int, ...] = ()

        def finish(self, exit_code: int) -> None:
            self.codes += (exit_code,)

    monkeypatch.setattr(loggers.WandbLogger, "finalize", lambda self, status: None)
    logger: Any = object.__new__(loggers.EndingWandbLogger)
    run = logger._experiment = Run()
    logger.finalize("failed")
    logger.finalize("success")  # of the next training, whose run has not begun
    assert run.codes == (1,)
