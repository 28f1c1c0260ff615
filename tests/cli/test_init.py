"""`melder init`, and a training that nobody wrote a recipe for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cli.conftest import Melder
from melder.training import recipe as recipes
from melder.training.recipe import Survey, suggest, survey
from training.small import read_lines, write_lines


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes as they are on a machine without a pretrained encoder."""
    monkeypatch.setattr(recipes, "find_spec", lambda name: None)


@pytest.fixture
def many(data: Path) -> Path:
    """The small data set with more mentions."""
    rows = read_lines(data / "train.jsonl")
    write_lines(data / "train.jsonl", [row | {"id": f"{row['id']}-{turn}"} for turn in range(8) for row in rows])
    return data


def test_a_recipe_is_written_and_trained_by(melder: Melder, many: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    result = melder("init", many, "--out", recipe)
    assert (result.status, f"Next: melder train {recipe}" in result.errors) == (0, True)
    assert f"{len(read_lines(many / 'train.jsonl'))} labelled mentions to train on" in result.errors
    content = yaml.safe_load(recipe.read_text())
    assert content["encoder"]["name"] == "clip:compact-64"
    assert content["data"] == {"directory": str(many)}
    trained = melder("train", recipe, "training.epochs=0", "--out", tmp_path / "run")
    assert trained.status == 0


def test_what_is_there_is_not_written_over(melder: Melder, data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("mine")
    assert "is there already" in melder("init", data, "--out", tmp_path / "mine.yaml").error
    assert (tmp_path / "mine.yaml").read_text() == "mine"
    assert melder("init", data, "--out", tmp_path / "mine.yaml", "--force").status == 0


@pytest.mark.parametrize("source", ["--data", "--from-kb"])
def test_a_training_without_a_recipe_says_what_it_does(melder: Melder, data: Path, tmp_path: Path, source: str) -> None:
    result = melder("train", source, data, "training.epochs=0", "--out", tmp_path / "run")
    assert result.status == 0
    assert "from_entities: 8  # " in result.errors
    assert (tmp_path / "run" / "config.yaml").is_file()


def test_labels_and_entities_are_not_two_sources_at_once(melder: Melder, data: Path, tmp_path: Path) -> None:
    refused = melder("train", "--data", data, "--from-kb", data, "--out", tmp_path / "run")
    assert "--data names labelled mentions and --from-kb makes some from entities" in refused.error
    assert not (tmp_path / "run").exists()


def test_nothing_to_train_on_is_said(melder: Melder, tmp_path: Path) -> None:
    assert "`melder init DATA` writes one" in melder("train", "--out", tmp_path / "run").error


def test_a_table_is_told_its_way(melder: Melder, tmp_path: Path) -> None:
    table = tmp_path / "my flags.csv"
    table.write_text("id,name\nGN,Guinea\n")
    said = melder("init", table).errors
    assert f"melder kb build --encoder starter --entities '{table}'" in said
    assert f"melder kb check '{table}'" in said


@pytest.mark.parametrize("ending", [".srj", ".ndjson", ".xlsm"])
def test_every_file_of_entities_is_a_table(melder: Melder, tmp_path: Path, ending: str) -> None:
    table = tmp_path / f"flags{ending}"
    table.write_text("{}")
    assert "is a table of entities" in melder("init", table).errors


def test_an_encoder_that_there_is_not_is_refused(melder: Melder, data: Path, tmp_path: Path) -> None:
    assert "encoder" in melder("init", data, "--encoder", "clop:a", "--out", tmp_path / "a.yaml").error
    assert not (tmp_path / "a.yaml").exists()


@pytest.mark.parametrize(
    ("installed", "pictured", "expected"),
    [
        ({recipes.SENTENCES}, (0.0, 0.0), f"paired:python:{recipes.SENTENCES}+none"),
        ({recipes.SENTENCES}, (1.0, 0.5), f"paired:python:{recipes.SENTENCES}+none"),
        (set(), (1.0, 1.0), "clip:compact-64"),
    ],
)
def test_the_best_encoder_that_is_installed(
    installed: set[str], pictured: tuple[float, float], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "find_spec", lambda name: name if name in installed else None)
    found = Survey(Path("a"), 10, 1000, pictured, 20, 0.0)
    assert suggest(found).sections["encoder"]["name"] == expected


@pytest.mark.parametrize(
    ("mentions", "entities", "epochs", "batch"),
    [(0, 50, 30, 32), (10, 5, 30, 16), (13_000, 100, 15, 128), (1_000_000, 100, 3, 128), (100, 100, 30, 16)],
)
def test_steps_are_about_as_many_whatever_the_size(mentions: int, entities: int, epochs: int, batch: int) -> None:
    training = suggest(Survey(Path("a"), entities, mentions, (0, 0), 20, 0)).sections["training"]
    assert (training["epochs"], training["batch_size"]) == (epochs, batch)


def test_reasons_stand_beside_their_settings(data: Path) -> None:
    recipe = suggest(survey(data))
    assert yaml.safe_load(recipe.text()) == recipe.sections
    lines = recipe.text().splitlines()
    for key in recipe.reasons:
        assert any(line.strip().startswith(f"{key.rpartition('.')[2]}: ") and "  # " in line for line in lines)
