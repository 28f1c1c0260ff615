"""`melder data`: counts, conversions that read back equal, flags."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import Melder
from melder.data import DataSet, load
from melder.encoders.precomputed import StoredPictures, find_files
from melder.records import Item
from training.small import read_lines, write_lines

ENTITY = {"id": 0, "qid": "Q1", "entity_name": "Ann", "image_list": ["Q1_0.jpg", "Q1_1.jpg"], "attr": "A", "desc": "D"}
MENTION = {"id": "m", "mentions": "Ann", "sentence": "Hi Ann", "imgPath": "x/4.png", "answer": "Q1"}


@pytest.fixture
def mimic(tmp_path: Path) -> Path:
    """A data set in MIMIC's layout whose second picture of the entity is not there."""
    directory = tmp_path / "mimic"
    for folder in ("kb_image", "mention_image"):
        (directory / folder).mkdir(parents=True)
    (directory / "kb_image" / "Q1_0.jpg").write_bytes(b"kb")
    (directory / "mention_image" / "4.jpg").write_bytes(b"mention")
    for name, content in {"kb_entity": [ENTITY], "qid2id": {"Q1": 0}, "a_train": [MENTION]}.items():
        (directory / f"{name}.json").write_text(json.dumps(content))
    return directory


@pytest.fixture
def gemel(tmp_path: Path) -> Path:
    """A data set in GEMEL's layout with features of one of its two pictures."""
    h5py = pytest.importorskip("h5py")
    directory = tmp_path / "gemel"
    directory.mkdir()
    line = {
        "text": "[START_ENT] UK [END_ENT]",
        "mention": "UK",
        "target": "United Kingdom",
        "img_url": "http://a/1.jpg",
    }
    write_lines(directory / "train.json", [line, {**line, "img_url": "http://a/2.jpg"}])
    with h5py.File(directory / "clip.hdf5", "w") as file:
        file["http://a/1.jpg"] = np.arange(4.0)
    return directory


def without_pictures(dataset: DataSet, split: str) -> list[object]:
    return [mention.model_copy(update={"image": None}) for mention in dataset.split(split)]


def test_info_prints_counts(melder: Melder, small_data: Path) -> None:
    said = melder("data", "info", small_data)
    assert (said.status, said.errors) == (0, "")
    rows = {line.split("│")[1].strip(): line.split("│")[2:-1] for line in said.out.splitlines() if "│" in line}
    assert [int(cell) for cell in rows["mentions"]] == [40, 14, 10]
    assert [int(cell) for cell in rows["without an answer (NIL)"]] == [1, 1, 1]
    assert [int(cell) for cell in rows["entities"]] == [12]


def test_info_prints_json(melder: Melder, mimic: Path) -> None:
    counts = json.loads(melder("data", "info", mimic, "--json").out)
    assert counts["layout"] == "mimic"
    assert (counts["entities"]["pictures"], counts["entities"]["missing_pictures"]) == (2, 1)
    assert counts["splits"]["train"]["mentions"] == 1


def test_info_leaves_bad_records_out_on_request(melder: Melder, data: Path) -> None:
    write_lines(data / "dev.jsonl", [*read_lines(data / "dev.jsonl"), {"id": "x", "answer": "nobody"}])
    assert "dev.jsonl, record 15, field 'answer'" in melder("data", "info", data).error
    said = melder("data", "info", data, "--skip-bad", "--json")
    assert said.status == 3
    assert json.loads(said.out)["skipped"] == 1
    assert "1 record left out" in said.errors


def test_info_says_how_a_layout_was_read(melder: Melder, gemel: Path) -> None:
    assert "note: there is no entities.jsonl" in melder("data", "info", gemel).errors


def test_melders_own_layout_is_written_as_it_was_read(melder: Melder, small_data: Path, tmp_path: Path) -> None:
    assert melder("data", "convert", small_data, tmp_path / "out").status == 0
    before, after = load(small_data), load(tmp_path / "out")
    assert after.entities == before.entities
    assert after.splits == before.splits == ("train", "dev", "test")
    for split in before.splits:
        assert after.split(split) == before.split(split)
    picture = before.entities[0].images[0]
    assert after.entity_image(picture).read_bytes() == before.entity_image(picture).read_bytes()


@pytest.mark.parametrize(("options", "linked"), [((), True), (("--copy",), False)])
def test_another_layout_reads_back_equal_with_its_pictures(
    options: tuple[str, ...], linked: bool, melder: Melder, mimic: Path, tmp_path: Path
) -> None:
    said = melder("data", "convert", mimic, tmp_path / "out", "--text-field", "attr", *options)
    assert said.status == 0
    assert "1 picture is named but not there" in said.errors
    before, after = load(mimic, text_field="attr"), load(tmp_path / "out")
    (old,), (new,) = before.entities, after.entities
    assert new.model_copy(update={"images": old.images}) == old
    assert new.description == "A"
    assert without_pictures(after, "train") == without_pictures(before, "train")
    picture = after.mention_image(after.split("train")[0].image or "")
    assert picture.read_bytes() == b"mention"
    assert after.entity_image(new.images[0]).read_bytes() == b"kb"
    assert os.path.samefile(picture, mimic / "mention_image" / "4.jpg") == linked


def test_a_directory_in_use_is_refused(melder: Melder, small_data: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "not an empty directory" in melder("data", "convert", small_data, tmp_path).error
    assert "not an empty directory" in melder("data", "flags", "--out", tmp_path).error
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_features_of_pictures_become_the_encoders(melder: Melder, gemel: Path, tmp_path: Path) -> None:
    refused = melder("data", "convert", gemel, tmp_path / "out").error
    assert "clip.hdf5, field 'http://a/2.jpg': is no vector of finite numbers, or not there" in refused
    assert not (tmp_path / "out").exists()
    said = melder("data", "convert", gemel, tmp_path / "out", "--skip-bad")
    assert said.status == 3
    assert "http://a/2.jpg" in said.errors
    first, second = load(tmp_path / "out").split("train")
    assert (first.text, second.image) == ("UK", None)
    stored = StoredPictures(find_files(str(tmp_path / "out" / "features")))
    read = stored.read(Item(image=load(tmp_path / "out").mention_image(first.image or "")))
    assert read["image_global"].tolist() == [0, 1, 2, 3]


def test_features_are_for_one_layout_only(melder: Melder, small_data: Path, tmp_path: Path) -> None:
    said = melder("data", "convert", small_data, tmp_path / "out", "--features", "x.hdf5")
    assert "--features goes with the layout gemel" in said.error


def test_flags_are_those_of_the_demo(melder: Melder, tmp_path: Path) -> None:
    from melder.data.flags import write_flags

    said = melder("data", "flags", "--out", tmp_path / "a", "--train", 12, "--held-out", 3, "--seed", 4, "--by-name", 5)
    assert said.status == 0
    write_flags(tmp_path / "b", seed=4, train=12, held_out=3, by_name=5)
    for name in ("entities", "train", "dev", "test"):
        assert (tmp_path / "a" / f"{name}.jsonl").read_bytes() == (tmp_path / "b" / f"{name}.jsonl").read_bytes()
    assert f"melder data info {tmp_path / 'a'}" in said.errors
    assert len(load(tmp_path / "a").entities) >= 120


@pytest.mark.parametrize("command", ["info", "convert", "flags"])
def test_every_command_has_an_example(command: str, melder: Melder) -> None:
    assert f"melder data {command} " in melder("data", command, "--help").out
