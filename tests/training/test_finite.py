"""A training that turns to NaN ends with the step and the last good checkpoint, and is no run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback

from melder.cli import app
from melder.ops.not_finite import not_finite
from melder.records import MelderError
from melder.training.configuration import Configuration
from melder.training.loop.checkpoints import weights
from melder.training.loop.train import train
from training.small import settings


class Spoiling(Callback):  # type: ignore[misc]
    """Makes a weight NaN after some step, as an exploding gradient does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *arguments: Any
    ) -> None:
        if trainer.global_step == self.step:
            with torch.no_grad():
                next(weight for weight in pl_module.parameters() if weight.requires_grad).view(-1)[0] = float("nan")


@pytest.mark.parametrize(("step", "told"), [(5, "the loss"), (4, "the loss|the weights"), (6, "the loss|the weights")])
def test_it_ends_with_its_step_and_keeps_the_last_good_checkpoint(
    small_data: Path, tmp_path: Path, step: int, told: str
) -> None:
    """Steps 4, 8 and 12 end epochs; every second is a checkpoint."""
    out = tmp_path / "run"
    configuration = Configuration(**settings(small_data))
    with pytest.raises(MelderError, match=rf"at step \d+ ({told}).* turned into NaN or infinity") as error:
        train(configuration, out, callbacks=[Spoiling(step)])
    assert "\n" not in str(error.value)
    last = out / "checkpoints/last.ckpt"
    assert str(last) in str(error.value)
    assert not_finite(weights(last)) is None
    assert not (out / "environment.json").exists()
    train(configuration, out)
    assert (out / "environment.json").exists()


def test_the_command_says_so_in_one_line(small_data: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(settings(small_data, learning_rate=1e30, warmup_steps=0)))
    with pytest.raises(MelderError, match=r"at step \d+ .* turned into NaN or infinity") as error:
        app(["train", str(recipe), "--out", str(tmp_path / "run")], standalone_mode=False)
    assert "\n" not in str(error.value)
