"""`training.epochs: 0`: a run of the model as it is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from melder.data import load
from melder.evaluation.evaluate import evaluate_run
from melder.linking import open_run
from melder.training.configuration import Configuration
from melder.training.loop.train import train
from melder.training.prepare import build_model
from melder.training.split import split_data
from training.small import settings


def _configuration(data: Path, **changes: Any) -> Configuration:
    content = settings(data, trained=changes.pop("trained", False), epochs=0)
    return Configuration(**content | {"method": {"name": "clip", **changes}})


@pytest.mark.parametrize("trained", [True, False])
def test_the_run_holds_the_model_as_it_is_built(trained: bool, small_data: Path, tmp_path: Path) -> None:
    configuration = _configuration(small_data, trained=trained)
    train(configuration, tmp_path / "run")
    dataset = load(small_data)
    built = build_model(configuration, dataset, split_data(configuration, dataset).train).state_dict()
    found = open_run(tmp_path / "run")[0].state_dict()
    assert found.keys() == built.keys()
    assert all(torch.equal(tensor, built[name]) for name, tensor in found.items())


def test_it_is_evaluated_like_any_other(small_data: Path, tmp_path: Path) -> None:
    result = train(_configuration(small_data), tmp_path / "run")
    assert result.first
    assert result.metrics["mentions"] > 0
    figures = evaluate_run(tmp_path / "run", small_data, "dev", counting=lambda title, total: lambda done: None).figures
    assert figures["method"] == "clip"
    assert figures["configuration"]["training"]["epochs"] == 0


def test_nothing_is_logged_and_no_checkpoint_is_kept(small_data: Path, tmp_path: Path) -> None:
    train(_configuration(small_data), tmp_path / "run")
    assert not {"logs", "checkpoints"} & {path.name for path in (tmp_path / "run").iterdir()}
