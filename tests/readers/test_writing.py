"""Any data set, written in Melder's own layout."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from melder.data import DataSet, load
from melder.data.writing import write_dataset
from melder.records import MelderError

Write = Callable[..., Path]
ENTITIES = [{"id": "Q1", "name": "Ann", "images": ["pictures/a.png", "lost.png"]}, {"id": "Q2", "name": "Bo"}]
TRAIN = [
    {"id": "1", "text": "Ann sang", "start": 0, "end": 3, "surface": "Ann", "image": "pictures/m.png", "answer": "Q1"}
]
DEV = [{"id": "1", "text": "Bo too", "answer": None}]


@pytest.fixture
def dataset(own: Write) -> DataSet:
    directory = own(ENTITIES, train=TRAIN, dev=DEV)
    (directory / "pictures").mkdir()
    for name in ("a", "m"):
        (directory / "pictures" / f"{name}.png").write_bytes(name.encode())
    return load(directory)


def test_the_records_are_the_same_again(dataset: DataSet, tmp_path: Path) -> None:
    written = write_dataset(dataset, tmp_path / "out")
    again = load(tmp_path / "out", layout="own")
    assert again.entities == dataset.entities
    assert again.splits == ("train", "dev")
    assert all(again.split(split) == dataset.split(split) for split in again.splits)
    assert written.records == {"entities": 2, "train": 1, "dev": 1}


def test_pictures_come_along_and_absent_ones_are_told(dataset: DataSet, tmp_path: Path) -> None:
    written = write_dataset(dataset, tmp_path / "out")
    assert (tmp_path / "out/pictures/a.png").read_bytes() == b"a"
    assert (tmp_path / "out/pictures/m.png").read_bytes() == b"m"
    assert (written.pictures, written.missing) == (2, (tmp_path / "lost.png",))


def test_a_layout_with_two_picture_directories_keeps_them_apart(mimic: Write, tmp_path: Path) -> None:
    entity = {"id": 0, "qid": "Q1", "type": "entity", "entity_name": "Ann", "image_list": ["1.jpg"], "desc": "A cat."}
    mention = {"sentence": "Ann sang", "mentions": "Ann", "imgPath": "1.jpg", "answer": "Q1"}
    directory = mimic(kb_entity=[entity], it_train=[mention])
    for folder in ("kb_image", "mention_image"):
        (directory / folder).mkdir()
        (directory / folder / "1.jpg").write_text(folder)
    write_dataset(load(directory), tmp_path / "out")
    again = load(tmp_path / "out")
    assert again.entity_image(again.entities[0].images[0]).read_text() == "kb_image"
    assert again.mention_image(again.split("train")[0].image or "").read_text() == "mention_image"


def test_rows_may_be_replaced(dataset: DataSet, tmp_path: Path) -> None:
    write_dataset(dataset, tmp_path / "out", entities=dataset.entities[1:], splits={"test": dataset.split("dev")})
    again = load(tmp_path / "out")
    assert [entity.id for entity in again.entities] == ["Q2"]
    assert again.splits == ("test",)
    assert not (tmp_path / "out/pictures").exists()


@pytest.mark.parametrize("copy", [False, True])
def test_pictures_are_linked_unless_copies_are_wanted(dataset: DataSet, copy: bool, tmp_path: Path) -> None:
    write_dataset(dataset, tmp_path / "out", copy=copy)
    assert (tmp_path / "out/pictures/a.png").samefile(tmp_path / "pictures/a.png") is not copy


def test_where_links_are_impossible_pictures_are_copied(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impossible(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", impossible)
    write_dataset(dataset, tmp_path / "out")
    assert (tmp_path / "out/pictures/a.png").read_bytes() == b"a"


def test_nothing_is_written_over(dataset: DataSet, tmp_path: Path) -> None:
    before = (tmp_path / "entities.jsonl").read_bytes()
    for place in (tmp_path, tmp_path / "entities.jsonl"):
        with pytest.raises(MelderError, match="is not an empty directory; name a new one"):
            write_dataset(dataset, place)
    assert (tmp_path / "entities.jsonl").read_bytes() == before


def test_a_writing_that_stopped_is_no_data_set(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space"):
        write_dataset(dataset, tmp_path / "out", copy=True)
    with pytest.raises(MelderError, match="is not a data set"):
        load(tmp_path / "out")
