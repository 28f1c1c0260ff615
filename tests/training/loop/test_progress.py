"""The log of a training: what an interrupted one leaves, and adds when it goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import Callback

from melder.training.configuration import Configuration
from melder.training.loop import train as module
from melder.training.loop.progress import ProgressLog
from melder.training.loop.train import train
from training.small import settings


class Interrupt(Callback):
    """Ctrl+C in the middle, as a class of its own."""

    class Own(KeyboardInterrupt):
        """What a command makes of SIGTERM, say."""

    def on_train_batch_end(self, trainer: Any, *arguments: Any) -> None:
        if trainer.global_step == 5:
            raise self.Own


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line at each advance."""
    monkeypatch.setattr(module, "ProgressLog", lambda path: ProgressLog(path, every=0))


@pytest.mark.usefixtures("often")
def test_the_log_of_an_interrupted_training_goes_on(small_data: Path, tmp_path: Path) -> None:
    configuration, out = Configuration(**settings(small_data)), tmp_path / "run"
    with pytest.raises(Interrupt.Own, match="the same command goes on where it stopped"):
        train(configuration, out, callbacks=[Interrupt()])
    log = out / "logs" / "progress.log"
    before = log.read_text()
    assert before.rstrip().endswith(" stopped")
    train(configuration, out)
    after = log.read_text()
    assert after.startswith(before)
    first, second = ([line.partition(" ")[2] for line in text.splitlines()] for text in (before, after[len(before) :]))
    assert any(line.startswith("training: 3 of 12") for line in first)
    assert any(line.startswith("epoch 1: hits@1 ") for line in first)
    steps = [line for line in second if line.startswith("training: ")]
    assert steps[0].startswith("training: 4 of 12")  # the checkpoint was of step 4
    assert steps[-1].startswith("training: 11 of 12")
    assert any(line.startswith("epoch 3: hits@1 ") for line in second)


def test_what_counts_counts_into_the_log_too(tmp_path: Path) -> None:
    counted = list[tuple[str, int]]()

    def counting(title: str, total: int) -> Callable[[int], None]:
        return lambda done: counted.append((title, done))

    advance = ProgressLog(tmp_path / "logs" / "a.log", every=0).beside(counting)("encoding", 3)
    advance(1)
    advance(2)
    assert counted == [("encoding", 1), ("encoding", 2)]
    assert (tmp_path / "logs" / "a.log").read_text().endswith(" encoding: 1 of 3\n")
