"""GEMEL's JSON Lines: markers, NIL, names as answers, keys of pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from melder.data import load
from melder.data.gemel import GemelLayout, picture_name, unmarked
from melder.records import BadData, Entity

URL = "https://example.org/wiki/a%20b/UK.jpg"
LINE = {"text": "The UK voted", "mention": "UK", "target": "United Kingdom", "golden": "Q145", "img_url": URL}


def write(directory: Path, entities: list[dict[str, Any]] | None = None, **splits: list[Any]) -> Path:
    files = {f"{name}.json": lines for name, lines in splits.items()}
    files |= {"entities.jsonl": entities} if entities is not None else {}
    for name, lines in files.items():
        (directory / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return directory


def test_a_line_is_a_mention_and_a_target_an_entity(tmp_path: Path) -> None:
    other = {**LINE, "target": "Ukraine", "img_url": ""}
    data = load(write(tmp_path, train=[LINE, LINE], test=[other]))
    assert (data.layout.name, data.splits) == ("gemel", ("train", "test"))
    assert data.entities == [Entity(id=name, name=name) for name in ("United Kingdom", "Ukraine")]
    assert "no entities.jsonl" in data.notes[0]
    first, second = data.split("train")
    assert (first.id, first.start, first.end, first.answer) == ("train-0", 4, 6, "United Kingdom")
    assert second.id == "train-1"
    assert data.split("test")[0].image is None


@pytest.mark.parametrize(
    ("text", "mention", "plain", "covered"),
    [
        ("UK and [START_ENT] UK [END_ENT] again", "UK", "UK and UK again", (7, 9)),
        ("UK and [START_ENT]the UK[END_ENT].", "UK", "UK and the UK.", (11, 13)),
        ("[START_ENT] EU [END_ENT] and [START_ENT] UK [END_ENT]", "UK", "EU and UK", (7, 9)),
        ("UK and [START_ENT] EU [END_ENT]", "UK", "UK and EU", (0, 2)),
        ("no markers, UK", "UK", "no markers, UK", (12, 14)),
        ("nothing", "UK", "nothing", (None, None)),
        ("[START_ENT] UK", "UK", "[START_ENT] UK", (12, 14)),
    ],
)
def test_markers_are_taken_out_and_say_where_the_mention_is(
    text: str, mention: str, plain: str, covered: tuple[int | None, int | None]
) -> None:
    assert unmarked(text, mention) == (plain, *covered)


def test_texts_that_were_marked_are_counted(tmp_path: Path) -> None:
    marked = {**LINE, "text": "The [START_ENT] UK [END_ENT] voted"}
    data = load(write(tmp_path, train=[LINE, marked], dev=[marked]))
    assert "markers: 2 texts" in data.notes[-1]
    assert not [note for note in load(write(tmp_path, train=[LINE], dev=[LINE])).notes if "markers" in note]


@pytest.mark.parametrize("golden", ["NIL", "nil"])
def test_nil_is_kept_as_such(tmp_path: Path, golden: str) -> None:
    data = load(write(tmp_path, dev=[LINE, {**LINE, "golden": golden, "target": None}]))
    assert [mention.answer for mention in data.split("dev")] == ["United Kingdom", None]


def test_a_golden_that_is_no_text_is_passed_over(tmp_path: Path) -> None:
    assert load(write(tmp_path, dev=[{**LINE, "golden": ["x", 1]}])).split("dev")[0].answer == "United Kingdom"


def test_with_a_file_of_entities_an_answer_is_golden_or_has_the_name(tmp_path: Path) -> None:
    entities = [
        {"id": "Q145", "name": "United Kingdom"},
        {"id": "Q2", "name": "Guinea"},
        {"id": "Q3", "name": "Guinea"},
    ]
    lines = [
        {**LINE, "target": "Guinea"},
        {**LINE, "golden": "https://example.org/uk"},
        {**LINE, "golden": None, "target": "Guinea"},
        {**LINE, "golden": None, "target": "Atlantis"},
    ]
    directory = write(tmp_path, entities, dev=lines)
    with pytest.raises(BadData, match="record 3, field 'target': 'Guinea' is the name of several entities"):
        load(directory)
    data = load(directory, skip_bad=True)
    assert [mention.answer for mention in data.split("dev")] == ["Q145", "Q145"]
    assert [(record.number, record.field) for record in data.skipped] == [(3, "target"), (4, "target")]


def test_a_picture_goes_by_one_name_that_leads_back_to_its_key(tmp_path: Path) -> None:
    data = load(write(tmp_path, dev=[LINE, {**LINE, "img_url": None, "img_name": "7.jpg"}]))
    names = [mention.image or "" for mention in data.split("dev")]
    assert isinstance(data.layout, GemelLayout)
    assert [data.layout.feature_keys[name] for name in names] == [URL, "7.jpg"]
    assert all("/" not in name for name in names)
    assert data.mention_image(names[1]) == tmp_path / "images" / "7.jpg"


def test_different_keys_have_different_names_of_bearable_length() -> None:
    long = "https://example.org/" + "é" * 300
    keys = ["a/b.jpg", "a%2Fb.jpg", "a\\b.jpg", "b.jpg", long + "1.jpg", long + "2.jpg", "x" + long + "1.jpg"]
    names = [picture_name(key) for key in keys]
    assert len(set(names)) == len(keys)
    assert max(len(name.encode()) for name in names) <= 200


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ({**LINE, "target": ""}, "target"),
        ({**LINE, "text": {}}, "text"),
        ({"text": "a"}, "mention"),
        ([1], ""),
        ({**LINE, "img_url": ".."}, "img_url"),
    ],
)
def test_a_bad_line_is_named_and_can_be_skipped(tmp_path: Path, line: Any, field: str) -> None:
    directory = write(tmp_path, train=[LINE, line])
    with pytest.raises(BadData) as error:
        load(directory).split("train")
    assert (error.value.records[0].number, error.value.records[0].field) == (2, field)
    data = load(directory, skip_bad=True)
    assert len(data.split("train")) == 1
    assert len(data.skipped) == 1


def test_an_array_in_train_json_is_not_this_layout(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text(json.dumps([LINE]))
    assert not GemelLayout.recognises(tmp_path)
