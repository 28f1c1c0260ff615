"""A command that is stopped says so, and how to go on; by Ctrl+C and by SIGTERM alike."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.conftest import Melder
from melder.cli import Terminated
from training.small import settings

MELDER = (sys.executable, "-c", "from melder.cli import main; main()")
PATIENCE = 300.0  # seconds for a training to begin, on a busy machine


@pytest.mark.parametrize(
    ("number", "status", "line"),
    [(signal.SIGINT, 130, "stopped; "), (signal.SIGTERM, 143, "stopped by SIGTERM; ")],
)
def test_a_training_that_is_stopped_says_how_to_go_on(
    small_data: Path, tmp_path: Path, number: int, status: int, line: str
) -> None:
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(yaml.safe_dump(settings(small_data, trained=True, epochs=5000, patience=5000)))
    process = subprocess.Popen(
        [*MELDER, "train", str(recipe), "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    until = time.monotonic() + PATIENCE
    while not (out / "checkpoints/last.ckpt").is_file() and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == status, said
    assert said.splitlines()[-1] == f"{line}the same command goes on where it stopped"
    assert "Traceback" not in said
    assert (out / "logs/progress.log").read_text().rstrip().endswith(" stopped")


@pytest.mark.parametrize(
    ("stop", "status", "line"),
    [
        (KeyboardInterrupt(), 130, "stopped"),
        (KeyboardInterrupt("go on"), 130, "stopped; go on"),
        (Terminated(), 143, "stopped by SIGTERM"),
    ],
)
def test_every_command_says_that_it_was_stopped(
    melder: Melder,
    small_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: BaseException,
    status: int,
    line: str,
) -> None:
    def stopping(*arguments: Any, **options: Any) -> None:
        raise stop

    monkeypatch.setattr("melder.data.load", stopping)
    said = melder("data", "info", small_data)
    assert (said.status, said.errors.strip()) == (status, line)
