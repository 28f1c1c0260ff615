"""MELBench's two files, with and without splits and entities beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from melder.data import load
from melder.records import BadData, Entity, MelderError, Mention

ANN = {
    "id": "7",
    "sentence": "Ann met Bo and Ann.",
    "mentions": ["Ann", "Bo", "Zed"],
    "entities": ["Ann%20Bell", "Bo", "Zed"],
    "answer": ["Q1", "Q2", "nil"],
}
BO = {"id": "9", "sentence": "Bo again", "mentions": ["Bo"], "entities": ["Bo Diddley"], "answer": ["Q2"]}
SPLITS = {"WikiMEL": {"train": [9], "val": ["7"], "test": []}}


def write(directory: Path, **files: Any) -> Path:
    """`wikidata`, `richpedia` and `splits` as JSON, or as they are; `entities` as JSON Lines."""
    names = {"wikidata": "Wikidata-MEL.json", "richpedia": "Richpedia-MEL.json", "splits": "ids_split_mappings.json"}
    for name, content in files.items():
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        (directory / names.get(name, "entities.jsonl")).write_bytes(data)
    return directory


def faults(error: BadData) -> list[tuple[int, str]]:
    return [(record.number, record.field) for record in error.records]


def test_a_caption_is_a_mention_for_each_element_of_its_lists(tmp_path: Path) -> None:
    data = load(write(tmp_path, wikidata={"7": ANN}))
    assert (data.layout.name, data.splits) == ("melbench", ("train",))
    assert data.split("train") == [
        Mention(id="7-0", text=ANN["sentence"], start=0, end=3, surface="Ann", answer="Q1"),
        Mention(id="7-1", text=ANN["sentence"], start=8, end=10, surface="Bo", answer="Q2"),
        Mention(id="7-2", text=ANN["sentence"], surface="Zed", answer=None),
    ]


def test_without_a_file_of_entities_they_are_the_answers_and_that_is_said(tmp_path: Path) -> None:
    data = load(write(tmp_path, wikidata={"7": ANN, "9": BO}))
    assert data.entities == [Entity(id="Q1", name="Ann Bell"), Entity(id="Q2", name="Bo", aliases=("Bo Diddley",))]
    assert any("no entities.jsonl" in note and "2 answers" in note for note in data.notes)
    assert any("all mentions are in train" in note for note in data.notes)


def test_a_file_of_entities_beside_it_is_the_knowledge_base(tmp_path: Path) -> None:
    entities = b'{"id": "Q2", "name": "Bo", "description": "A guitarist."}\n{"id": "Q3", "name": "Cy"}\n'
    data = load(write(tmp_path, wikidata={"9": BO}, entities=entities))
    assert [entity.id for entity in data.entities] == ["Q2", "Q3"]
    assert not any("entities.jsonl" in note for note in data.notes)
    assert data.split("train")[0].answer == "Q2"
    write(tmp_path, wikidata={"7": ANN})
    with pytest.raises(BadData, match="'Q1' is not in the knowledge base"):
        load(tmp_path).split("train")


def test_splits_are_read_by_caption(tmp_path: Path) -> None:
    data = load(write(tmp_path, wikidata={"7": ANN, "9": BO, "11": BO}, splits=SPLITS))
    assert data.splits == ("train", "dev")
    assert [mention.id for mention in data.split("train")] == ["9-0"]
    assert [mention.id for mention in data.split("dev")] == ["7-0", "7-1", "7-2"]
    assert any("1 caption is in no split" in note for note in data.notes)


def test_an_id_of_richpedia_does_not_give_the_answer_away(tmp_path: Path) -> None:
    caption = {"id": "Q64", "sentence": "In Berlin", "mentions": "Berlin", "entities": "Berlin", "answer": "Q64"}
    splits = {"train": [], "dev": [], "test": ["Q64"]}  # a mapping of one data set alone
    data = load(write(tmp_path, richpedia={"Q1": caption | {"answer": "Q1"}, "Q64": caption}, splits=splits))
    (mention,) = data.split("test")
    assert (mention.id, mention.answer, mention.start) == ("1-0", "Q64", 3)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"answer": ["Q1"]}, "7.answer"),
        ({"mentions": 3}, "7.mentions"),
        ({"entities": ["a", 5, "c"]}, "7.entities.1"),
        ({"answer": ["Q1", "", "Q2"]}, "7.answer.1"),
        ({"sentence": None}, "7.sentence"),
        ({"sentence": "\ud800"}, "7.sentence"),
    ],
)
def test_a_bad_caption_is_named_and_can_be_skipped(tmp_path: Path, change: dict[str, Any], field: str) -> None:
    directory = write(tmp_path, wikidata={"9": BO, "7": ANN | change})
    with pytest.raises(BadData) as error:
        load(directory)
    assert faults(error.value) == [(2, field)]
    data = load(directory, skip_bad=True)
    assert [mention.id for mention in data.split("train")] == ["9-0"]
    assert [(record.number, record.field) for record in data.skipped] == [(2, field)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b"{}", "is empty"),
        (b"[]", "not a JSON object"),
        (b'{"7": 3}', "field '7': is not a JSON object"),
        (b'{"\xff": {}}', "not UTF-8"),
    ],
)
def test_a_file_without_records_says_so(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(BadData, match=words):
        load(write(tmp_path, wikidata=content), skip_bad=True)


def test_both_files_in_one_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MelderError, match="a directory of its own"):
        load(write(tmp_path, wikidata={"9": BO}, richpedia={}))


@pytest.mark.parametrize(
    ("splits", "words"),
    [
        ({"WikiDiverse": {"train": []}}, "has no data set 'WikiMEL', only WikiDiverse"),
        ({"WikiMEL": {"train": "9"}}, "field 'WikiMEL.train': must be a list"),
        ({"train": [None]}, "field 'train.0'"),
        (b"{", "not JSON"),
    ],
)
def test_a_bad_split_file_is_named(tmp_path: Path, splits: Any, words: str) -> None:
    with pytest.raises(MelderError, match=words) as error:
        load(write(tmp_path, wikidata={"9": BO}, splits=splits))
    assert "ids_split_mappings.json" in str(error.value)


def test_melders_own_splits_beside_it_make_it_unclear(tmp_path: Path) -> None:
    write(tmp_path, wikidata={"9": BO}, entities=b'{"id": "Q2", "name": "Bo"}\n')
    (tmp_path / "dev.jsonl").write_text("")
    with pytest.raises(MelderError, match="say which with layout=own or layout=melbench"):
        load(tmp_path)
    assert load(tmp_path, layout="melbench").split("train")
