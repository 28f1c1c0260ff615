"""`melder convert`, and what its runs are good for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Melder
from runs.official import lightning_checkpoint, official_state, small_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_clip(tmp_path_factory.mktemp("clips") / "small", seed=0)


@pytest.fixture
def checkpoint(clip: Path, tmp_path: Path) -> Path:
    return lightning_checkpoint(tmp_path / "mimic.ckpt", official_state("mimic", clip))


def test_a_converted_run_is_evaluated_like_any_other(
    melder: Melder, checkpoint: Path, clip: Path, small_data: Path, tmp_path: Path
) -> None:
    run, figures = tmp_path / "run", tmp_path / "figures.json"
    said = melder("convert", "mimic", checkpoint, "--clip", clip, "--allow-pickle", "--out", run)
    assert said.status == 0
    assert f"Next: melder evaluate {run} --data DIR --split dev" in said.errors
    assert melder("evaluate", run, "--data", small_data, "--json", figures).status == 0
    found = json.loads(figures.read_text())
    assert (found["method"], found["candidates"]) == ("mimic", 12)


def test_a_pickle_needs_a_word(melder: Melder, checkpoint: Path, clip: Path, tmp_path: Path) -> None:
    line = melder("convert", "mimic", checkpoint, "--clip", clip, "--out", tmp_path / "run").error
    assert "mimic.ckpt: is not safetensors" in line
    assert "repeat with --allow-pickle" in line


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--text-field", "name"), "--text-field name: an entity's text is attr or desc"),
        (("--variant", "cmm"), "mimic has no variants"),
        (("--clip", "/no/where"), "no model directory '/no/where'"),
        (("--clip", "compact"), "compact"),
    ],
)
def test_a_bad_option_is_one_line(
    arguments: tuple[str, str], word: str, melder: Melder, checkpoint: Path, clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    said = melder("convert", "mimic", checkpoint, "--clip", clip, "--allow-pickle", "--out", out, *arguments)
    assert word in said.error
    assert not out.exists()


def test_a_checkpoint_that_is_not_there_is_named(melder: Melder, clip: Path, tmp_path: Path) -> None:
    line = melder("convert", "mimic", tmp_path / "no.ckpt", "--clip", clip, "--out", tmp_path / "run").error
    assert "no.ckpt: is no file" in line
