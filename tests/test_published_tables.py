"""`make reproduce`: every row is a recipe that says the same figures; what is missing is said; nothing is run twice."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "experiments"))

import run_published  # noqa: E402
from published_figures import PUBLISHED, PublishedRow  # noqa: E402

M3EL = next(row for row in PUBLISHED if row.slug == "m3el-wikimel")


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.slug)
def test_a_row_is_a_recipe_that_says_the_same_figures(row: PublishedRow) -> None:
    text = (ROOT / row.recipe).read_text(encoding="utf-8")
    about = text[: text.index("\ndata:")]
    assert all(f"{figure:.2f}" in about for figure in row.figures if figure is not None)
    assert row.candidates is None or f"{row.candidates:,}" in about
    assert all(name in text for name in row.weights)


def test_the_page_opens_with_the_table() -> None:
    table = run_published.comparison(PUBLISHED, {}, Path("nowhere")).strip()
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    assert table in page
    assert page.index(table) < page.index("\n## Text and picture")


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (None, "no directory"),
        (["train"], "no mentions of dev, test"),
        (["train", "dev", "test"], "no weights of openai/"),
    ],
)
def test_what_is_missing_is_said(
    splits: list[str] | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_published, "is_cached", lambda name: False)
    if splits is not None:
        _write_data(tmp_path / "wikimel", splits)
    assert message in str(run_published.lacking(M3EL, tmp_path, fetch=False))


def test_a_row_is_trained_and_tested_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[str] = []

    def melder(arguments: list[str], *, fetch: bool) -> int:
        commands.append(arguments[0])
        if arguments[0] == "evaluate":
            figures = {"candidates": 3, "hits@1": 0.5, "hits@3": 0.75, "hits@5": 1.0, "mrr": 0.7}
            file = Path(arguments[arguments.index("--json") + 1])
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(figures))
        return 0

    _write_data(tmp_path / "wikimel", ["train", "dev", "test"])
    monkeypatch.setattr(run_published, "melder", melder)
    for _ in range(2):
        assert _exit_status(monkeypatch, tmp_path, "--fetch", "--only", "m3el-wikimel") == 0
    assert commands == ["train", "evaluate"]
    assert "| m3el-wikimel, Melder | 3 | 50.00 | 75.00 | 100.00 | 70.00 |" in capsys.readouterr().out
    assert "m3el-wikimel, Melder" in (tmp_path / "runs/comparison.md").read_text(encoding="utf-8")


def test_a_row_that_fails_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _write_data(tmp_path / "wikimel", ["train", "dev", "test"])
    monkeypatch.setattr(run_published, "melder", lambda arguments, fetch: 1)
    assert _exit_status(monkeypatch, tmp_path, "--fetch", "--only", "m3el") == 1
    out = capsys.readouterr().out
    assert "missing: m3el-wikimel: melder train failed" in out
    assert "missing: m3el-richpediamel: no directory" in out


def _exit_status(monkeypatch: pytest.MonkeyPatch, directory: Path, *options: str) -> Any:
    arguments = ["run_published.py", "--data", str(directory), "--runs", str(directory / "runs"), *options]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as left:
        run_published.main()
    return left.value.code


def _write_data(directory: Path, splits: list[str]) -> None:
    """A data set in Melder's own layout: a kite, and a mention of it in each split."""
    directory.mkdir()
    (directory / "entities.jsonl").write_text(json.dumps({"id": "Q1", "name": "Kite"}) + "\n", encoding="utf-8")
    for split in splits:
        mention = {"id": split, "text": "a kite", "start": 2, "end": 6, "surface": "kite", "answer": "Q1"}
        (directory / f"{split}.jsonl").write_text(json.dumps(mention) + "\n", encoding="utf-8")
