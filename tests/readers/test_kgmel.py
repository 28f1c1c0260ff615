"""KGMEL's WikiDiverse and its splits, of which some ids are in two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from melder.data import load
from melder.records import BadData, Entity, Mention

CAPTION = {
    "id": 0,
    "sentence": "The UK and the EU",
    "imgPath": "pictures/0.jpg",
    "mention": ["UK", "EU"],
    "entity": ["United Kingdom", "European Union"],
    "answer": ["Q145", "Q458"],
    "img-url": "https://example.org/0.jpg",
}


def write(directory: Path, captions: Any, splits: Any = None) -> Path:
    (directory / "WikiDiverse.json").write_text(json.dumps(captions))
    if splits is not None:
        (directory / "ids_split_mappings.json").write_text(json.dumps({"WikiDiverse": splits, "WikiMEL": {}}))
    return directory


def caption(identifier: int, **fields: Any) -> dict[str, Any]:
    return {**CAPTION, "id": identifier, **fields}


def test_mentions_and_entities_come_from_the_lists(tmp_path: Path) -> None:
    data = load(write(tmp_path, [CAPTION, caption(1, imgPath="")], {"train": [0], "val": [1], "test": []}))
    assert data.layout.name == "kgmel"
    assert data.entities == [Entity(id="Q145", name="United Kingdom"), Entity(id="Q458", name="European Union")]
    image = CAPTION["imgPath"]
    assert data.split("train") == [
        Mention(id="0-0", text=CAPTION["sentence"], start=4, end=6, surface="UK", image=image, answer="Q145"),
        Mention(id="0-1", text=CAPTION["sentence"], start=15, end=17, surface="EU", image=image, answer="Q458"),
    ]
    assert data.mention_image("pictures/0.jpg") == tmp_path / "pictures" / "0.jpg"
    assert {mention.image for mention in data.split("dev")} == {None}


def test_an_id_in_several_splits_counts_for_the_last_and_that_is_said(tmp_path: Path) -> None:
    splits = {"test": [3], "val": [2, 3], "train": [0, 2, 0, 3, 8]}
    data = load(write(tmp_path, [CAPTION, caption(2), caption(3)], splits))
    found = {split: sorted({mention.id.split("-")[0] for mention in data.split(split)}) for split in data.splits}
    assert found == {"train": ["0"], "dev": ["2"], "test": ["3"]}
    assert any("2 ids are in more than one split (2, 3)" in note for note in data.notes)
    assert any("1 of its ids are of no caption" in note for note in data.notes)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"entity": ["a"]}, "entity"),
        ({"id": None}, "id"),
        ({"mention": None}, "mention.0"),
        ({"imgPath": 3}, "imgPath"),
        ({"answer": ["Q1", 2]}, "answer.1"),
    ],
)
def test_a_bad_caption_is_named_and_can_be_skipped(tmp_path: Path, change: dict[str, Any], field: str) -> None:
    directory = write(tmp_path, [CAPTION, caption(1, **change)])
    with pytest.raises(BadData) as error:
        load(directory)
    assert [(record.number, record.field) for record in error.value.records] == [(2, field)]
    data = load(directory, skip_bad=True)
    assert len(data.split("train")) == 2
    assert len(data.skipped) == 1


@pytest.mark.parametrize(("change", "field"), [({"imgPath": "../x.jpg"}, "imgPath"), ({"id": 0}, "id")])
def test_what_every_layout_refuses_is_refused_here(tmp_path: Path, change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadData) as error:
        load(write(tmp_path, [CAPTION, caption(1, **change)])).split("train")
    assert {(record.number, record.field) for record in error.value.records} == {(2, field)}
