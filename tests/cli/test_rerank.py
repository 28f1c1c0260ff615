"""`melder rerank`, and what other commands make of a second look."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cli.conftest import Melder
from linking.second_looks import by_letters


def test_a_run_gets_a_second_look_that_every_command_has(
    melder: Melder, small_run: Path, small_data: Path, tmp_path: Path
) -> None:
    run, figures = tmp_path / "run", tmp_path / "figures.json"
    shutil.copytree(small_run, run)
    said = melder("rerank", run, *by_letters(shuffles=1), "--data", small_data)
    assert said.status == 0, said.errors
    assert "selection mentions" in said.errors + said.out
    assert f"melder evaluate {run} --data {small_data}" in said.errors + said.out
    said = melder("evaluate", run, "--data", small_data, "--json", figures)
    assert said.status == 0, said.errors
    assert "Without the second look" in said.out
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert found["second_stage"]["stage"] == "language_model"
    assert found["without_second_stage"]["mentions"] == found["mentions"]
    asked = ("link", run, "--data", small_data, "--text", "a red kite", "--json")
    assert "language_model" in json.loads(melder(*asked).out)["candidates"][0]["units"]
    assert "language_model" not in json.loads(melder(*asked, "--set", "rerank.top=0").out)["candidates"][0]["units"]
    assert "has a second look" in melder("evaluate", run, "--data", small_data, "--nil-threshold", 0.5).error
    assert melder("calibrate", run, "--data", small_data).status == 0  # of the first stage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["top=3"], "'top=3': is no setting of a second look; write rerank.KEY=VALUE"),
        ([], "name what looks again"),
        (["rerank.model=x", "rerank.training.epoch=1"], "did you mean 'epochs'"),
    ],
)
def test_what_is_no_second_look_is_one_line(
    arguments: list[str], message: str, melder: Melder, small_run: Path
) -> None:
    assert message in melder("rerank", small_run, *arguments).error


def test_what_is_no_run_gets_none(melder: Melder, tmp_path: Path) -> None:
    assert "is no run" in melder("rerank", tmp_path, "rerank.model=x").error
