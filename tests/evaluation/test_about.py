"""What is noted beside a file of predictions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from melder.evaluation.about import read_about, write_about

FIGURES = {"method": "m3el", "encoder": "clip:compact", "data": "grocery", "split": "dev", "seed": 43, "mrr": 0.5}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    predictions = tmp_path / "dev.jsonl"
    predictions.write_text('{"id": "m1"}\n', encoding="utf-8")
    write_about(predictions, Path("runs/text"), FIGURES)
    return predictions


def test_what_was_noted_is_read_again(stored: Path) -> None:
    facts = {"run": "runs/text", "method": "m3el", "encoder": "clip:compact", "data": "grocery", "split": "dev"}
    assert read_about(stored) == {**facts, "seed": "43"}


def test_of_predictions_that_something_else_wrote_since_nothing_is_known(stored: Path) -> None:
    stored.write_text('{"id": "m2"}\n', encoding="utf-8")
    assert read_about(stored) == {}


@pytest.mark.parametrize("content", ["", "[]", "{}", '"x"', "\udcff", json.dumps({"run": 1})])
def test_of_a_note_that_is_damaged_nothing_is_known(stored: Path, content: str) -> None:
    stored.with_name("dev.jsonl.about.json").write_text(content, encoding="utf-8", errors="surrogateescape")
    assert read_about(stored) == {}


def test_beside_what_is_no_file_nothing_is_noted(tmp_path: Path) -> None:
    write_about(tmp_path / "missing.jsonl", Path("runs/text"), FIGURES)
    assert list(tmp_path.iterdir()) == []
    assert read_about(tmp_path / "missing.jsonl") == {}
