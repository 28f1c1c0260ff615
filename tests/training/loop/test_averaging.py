"""The mean of the weights of the best looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file

from melder.training.configuration import Configuration
from melder.training.loop.averaging import mean_weights
from melder.training.loop.checkpoints import SafetensorsIO
from melder.training.loop.train import train
from training.small import settings


def _checkpoint(path: Path, **tensors: torch.Tensor) -> Path:
    SafetensorsIO().save_checkpoint({"state_dict": tensors}, path)
    return path


def test_the_mean_is_of_every_number_and_whole_numbers_are_the_first_one_s(tmp_path: Path) -> None:
    weights = [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 2.0]), torch.tensor([8.0, -1.0])]
    files = [
        _checkpoint(tmp_path / f"{number}.ckpt", a=tensor, steps=torch.tensor(number))
        for number, tensor in enumerate(weights)
    ]
    mean = mean_weights(files)
    assert torch.allclose(mean["a"], torch.tensor([4.0, 1.0]))
    assert mean["steps"] == 0
    assert torch.equal(mean_weights(files[1:2])["a"], weights[1])


@pytest.mark.parametrize(
    ("average", "last_look", "averaged"),
    [
        (2, 0.7, [1, 2]),  # the two best of four looks
        (2, 0.6, [1, 2]),  # as good as the best one
        (2, 0.5, [1]),  # worse: the best one's stay
        (3, 0.7, [1, 2, 3]),
        (9, 0.7, [0, 1, 2, 3]),
        (1, None, [1]),  # no further look
    ],
)
def test_the_best_looks_are_averaged_where_that_is_no_worse(
    small_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    average: int,
    last_look: float | None,
    averaged: list[int],
) -> None:
    looks = [0.2, 0.6, 0.4, 0.3] + ([] if last_look is None else [last_look])
    coming = iter(looks)
    monkeypatch.setattr("melder.training.loop.fit.figures", lambda _: {"hits@1": 0.0, "mrr": next(coming)})
    states = list[dict[str, torch.Tensor]]()

    class Record(Callback):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            states.append({name: tensor.clone() for name, tensor in pl_module.model.matcher.state_dict().items()})

    chosen = settings(small_data, epochs=4, patience=9, batch_size=40, average=average)
    train(Configuration(**chosen), tmp_path / "run", callbacks=[Record()])
    saved = load_file(tmp_path / "run" / "model.safetensors")
    for name in states[0]:
        mean = torch.stack([states[number][name].double() for number in averaged]).mean(dim=0)
        assert torch.allclose(saved[f"matcher.{name}"].double(), mean, rtol=1e-5, atol=1e-6), name
    assert next(coming, None) is None
    files = list((tmp_path / "run" / "checkpoints").glob("look-*.ckpt"))
    assert len(files) == (0 if average == 1 else min(average, 4))
