"""`data.fraction`: the low-resource setting, the first share of train in file order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from melder.data import load
from melder.training.configuration import Configuration
from melder.training.loop.train import train
from melder.training.split import Split, split_data
from training.small import settings


def configured(data: Path, fraction: float, **training: Any) -> Configuration:
    sections = settings(data, **training)
    sections["data"]["fraction"] = fraction
    return Configuration(**sections)


def split(data: Path, fraction: float, **training: Any) -> Split:
    return split_data(configured(data, fraction, **training), load(data))


@pytest.mark.parametrize(("fraction", "count"), [(0.1, 4), (0.29, 12), (0.5, 20), (1.0, 40), (1e-9, 1)])
def test_it_is_the_first_share_of_the_file(small_data: Path, fraction: float, count: int) -> None:
    first = [mention for mention in load(small_data).split("train")[:count] if mention.answer is not None]
    assert split(small_data, fraction, select_on="dev").train == first


def test_the_selection_set_is_held_out_of_the_share(small_data: Path) -> None:
    first = load(small_data).split("train")[:20]
    found = split(small_data, 0.5)
    assert found.selection
    assert {mention.id for mention in found.train + found.selection} == {m.id for m in first if m.answer is not None}


def test_dev_stays_whole(small_data: Path) -> None:
    assert len(split(small_data, 0.1, select_on="dev").selection) == 13


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, "half"])
def test_other_shares_are_refused(small_data: Path, fraction: float) -> None:
    with pytest.raises(ValidationError, match="fraction"):
        configured(small_data, fraction)


def test_a_training_sees_the_share_only(small_data: Path, tmp_path: Path) -> None:
    train(configured(small_data, 0.25, epochs=1, batch_size=4, select_on="dev"), tmp_path / "run")
    answers = {mention.answer for mention in load(small_data).split("train")[:10]} - {None}
    assert set(json.loads((tmp_path / "run" / "trained_on.json").read_text())["answers"]) == answers
