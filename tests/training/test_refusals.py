"""What a training refuses to begin or to go on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import Callback

from melder.records import MelderError
from melder.training.configuration import Configuration
from melder.training.loop.train import train
from training.small import read_lines, settings, write_lines


def made(data: Path, out: Path, **training: Any) -> dict[str, Any]:
    return train(Configuration(**settings(data, **training)), out).metrics


def test_a_directory_with_something_else_in_it_is_refused(small_run: Path, small_data: Path, tmp_path: Path) -> None:
    configuration = Configuration(**settings(small_data))
    before = (small_run / "config.yaml").read_bytes()
    with pytest.raises(MelderError, match="holds a finished run"):
        train(configuration, small_run)
    assert (small_run / "config.yaml").read_bytes() == before
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(MelderError, match="is not empty and holds no run"):
        train(configuration, tmp_path)
    with pytest.raises(MelderError, match=r"thesis\.txt: no run can be written there"):
        train(configuration, tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_interrupted_training_of_other_settings_is_not_gone_on_with(small_data: Path, tmp_path: Path) -> None:
    class Stop(Callback):
        def on_train_batch_start(self, *arguments: Any) -> None:
            raise RuntimeError

    out = tmp_path / "run"
    with pytest.raises(RuntimeError):
        train(Configuration(**settings(small_data)), out, callbacks=[Stop()])
    with pytest.raises(MelderError, match=r"config\.yaml: belongs to an interrupted training with other settings"):
        made(small_data, out, learning_rate=1.0)
    assert made(small_data, out)["mentions"] == 4


def test_a_damaged_checkpoint_is_named(small_data: Path, tmp_path: Path) -> None:
    out, configuration = tmp_path / "run", Configuration(**settings(small_data))

    class Stop(Callback):
        def on_train_batch_start(self, trainer: Any, *arguments: Any) -> None:
            if trainer.global_step == 3:
                raise RuntimeError

    with pytest.raises(RuntimeError):
        train(configuration, out, callbacks=[Stop()])
    last = out / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(MelderError, match=r"last\.ckpt: is no checkpoint of Melder"):
        train(configuration, out)


def test_more_processes_than_mentions_in_a_batch_are_refused(small_data: Path) -> None:
    with pytest.raises(ValueError, match="every process needs a mention of each batch"):
        Configuration(**settings(small_data, batch_size=2, processes=3))


def test_train_without_answers_says_so(small_data: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "entities.jsonl").write_bytes((small_data / "entities.jsonl").read_bytes())
    nil = [record | {"answer": None, "image": None} for record in read_lines(small_data / "train.jsonl")]
    write_lines(data / "dev.jsonl", nil)
    write_lines(data / "train.jsonl", read_lines(small_data / "train.jsonl"))
    with pytest.raises(MelderError, match="split 'dev': no mention has an answer"):
        made(data, tmp_path / "dev", select_on="dev")
    write_lines(data / "train.jsonl", nil)
    with pytest.raises(MelderError, match="split 'train': no mention has an answer"):
        made(data, tmp_path / "tune")
