"""Training without labels: the data set that is made, from data sets and knowledge bases, and the run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from pydantic import ValidationError

from melder.building.build import build
from melder.data import EntityFile, load
from melder.runs.configuration_file import read_yaml
from melder.runs.model_configuration import DataConfiguration
from melder.training.configuration import Configuration, read_configuration
from melder.training.from_entities import MADE, data_to_train_on, without_labels, write_made
from melder.training.loop.train import train
from training.small import read_lines, settings, write_lines


def silent(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


@pytest.fixture
def entities(small_data: Path, tmp_path: Path) -> Path:
    """The entities alone, without any mention."""
    directory = tmp_path / "entities"
    shutil.copytree(small_data, directory, ignore=shutil.ignore_patterns("train*", "dev*", "test*"))
    return directory


def unlabelled(directory: Path, **training: Any) -> Configuration:
    content = settings(directory, trained=True, **training)
    content["data"]["from_entities"] = 4
    return Configuration(**content)


def test_it_is_a_data_set_with_its_pictures(entities: Path, tmp_path: Path) -> None:
    written = write_made(DataConfiguration(directory=entities), tmp_path / "made", 4, 0, counting=silent)
    made = load(tmp_path / "made")
    mentions = made.split("train")
    assert made.splits == ("train",)
    assert (written.mentions, written.views) == (len(mentions), len(mentions))
    assert {mention.answer for mention in mentions} == {entity.id for entity in made.entities}
    assert all(made.entity_image(image).is_file() for entity in made.entities for image in entity.images)
    views = [np.asarray(Image.open(made.mention_image(str(mention.image)))) for mention in mentions]
    assert {view.shape for view in views} == {(224, 224, 3)}
    assert len({view.tobytes() for view in views}) == len(views)
    assert not [path for path in tmp_path.iterdir() if path.suffix]  # nothing half-made is left


def test_a_picture_that_cannot_be_read_is_not_shown(entities: Path, tmp_path: Path) -> None:
    (entities / "images/3.png").write_bytes(b"no picture")
    written = write_made(DataConfiguration(directory=entities), tmp_path / "made", 2, 0, counting=silent)
    shown = {mention.answer for mention in load(tmp_path / "made").split("train") if mention.image is None}
    assert shown == {"Q3"}
    assert len(written.unreadable) == 2
    assert all("3.png" in reason for reason in written.unreadable.values())


def test_a_knowledge_base_makes_what_its_entities_make(small_run: Path, entities: Path, tmp_path: Path) -> None:
    built = tmp_path / "kb"
    build(built, EntityFile(entities / "entities.jsonl"), run=small_run, counting=silent)
    write_made(DataConfiguration(directory=built), tmp_path / "from-kb", 3, 5, counting=silent)
    write_made(DataConfiguration(directory=entities), tmp_path / "from-data", 3, 5, counting=silent)
    for name in ("train.jsonl", "entities.jsonl"):
        assert read_lines(tmp_path / "from-kb" / name) == read_lines(tmp_path / "from-data" / name)
    made = load(tmp_path / "from-kb")
    assert all(made.mention_image(str(mention.image)).is_file() for mention in made.split("train"))


def test_a_training_without_labels_leaves_a_run(entities: Path, tmp_path: Path) -> None:
    configuration = unlabelled(entities, epochs=1)
    result = train(configuration, tmp_path / "run")
    assert result.metrics["candidates"] == 12
    assert result.metrics["split"].startswith("tune")
    assert (tmp_path / "run" / "nil.json").is_file()
    assert not (tmp_path / "run" / MADE / "dev.jsonl").exists()


def test_what_was_made_is_made_once(entities: Path, tmp_path: Path) -> None:
    first = data_to_train_on(unlabelled(entities), tmp_path, silent).split("train")
    shutil.rmtree(entities)
    assert data_to_train_on(unlabelled(entities), tmp_path, silent).split("train") == first


def test_stored_features_and_random_views_take_pictures_as_they_are(entities: Path, tmp_path: Path) -> None:
    dataset = data_to_train_on(unlabelled(entities, augment=True), tmp_path, silent)
    assert {mention.image for mention in dataset.split("train")} == {f"images/{number}.png" for number in range(12)}


def test_a_recipe_trains_on_entities_with_distractors_that_look_alike(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(settings(tmp_path / "data")))
    changed = read_configuration(recipe, without_labels(read_yaml(recipe), ["training.epochs=2"], tmp_path / "kb"))
    assert (changed.data.directory, changed.data.from_entities) == (tmp_path / "kb", 8)
    assert (changed.training.epochs, changed.training.negatives.sampler) == (2, "lexical")
    own = ["data.from_entities=3", "training.negatives.sampler=uniform"]
    kept = read_configuration(recipe, without_labels(read_yaml(recipe), own, tmp_path / "kb"))
    assert (kept.data.from_entities, kept.training.negatives.sampler) == (3, "uniform")


def test_there_is_no_development_set_to_select_on(entities: Path) -> None:
    with pytest.raises(ValidationError, match=r"set training.select_on: tune"):
        unlabelled(entities, select_on="dev")


def test_bad_entities_are_errors_or_left_out(entities: Path, tmp_path: Path) -> None:
    lines = read_lines(entities / "entities.jsonl")
    write_lines(entities / "entities.jsonl", [*lines, lines[0]])
    written = write_made(DataConfiguration(directory=entities, skip_bad=True), tmp_path / "made", 1, 0, counting=silent)
    assert [record.number for record in written.skipped] == [13]
