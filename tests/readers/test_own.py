"""Melder's own layout, and what every layout refuses."""

from __future__ import annotations

import codecs
import json

import pytest

from melder.data import load
from melder.records import BadData, Entity, MelderError, Mention

ENTITY = {"id": "a", "name": "Ann", "description": "A cat."}
MENTION = {"id": "m", "text": "Ann sat.", "start": 0, "end": 3, "surface": "Ann", "answer": "a"}


def faults(error: pytest.ExceptionInfo[BadData]) -> list[tuple[str, int, str]]:
    return [(record.file.rsplit("/")[-1], record.number, record.field) for record in error.value.records]


def test_records_come_back_as_they_were_written(own):
    entity = {**ENTITY, "aliases": ["Anne"], "types": ["cat"], "images": ["pictures/a.png"]}
    data = load(own([entity], dev=[MENTION, {**MENTION, "id": "n", "answer": None, "image": "x.jpg"}]))
    assert data.entities == [
        Entity(id="a", name="Ann", aliases=("Anne",), description="A cat.", types=("cat",), images=("pictures/a.png",))
    ]
    first, second = data.split("dev")
    assert first == Mention(**MENTION)
    assert second.answer is None
    assert data.mention_image("x.jpg") == data.directory / "x.jpg"
    assert data.entity_image("pictures/a.png") == data.directory / "pictures/a.png"
    assert data.skipped == []


def test_offsets_count_code_points(own):
    mention = {**MENTION, "text": "🐈🐈 Änn", "start": 3, "end": 6, "surface": "Änn"}
    assert load(own([ENTITY], dev=[mention])).split("dev")[0].start == 3


def test_byte_order_mark_blank_lines_and_windows_line_ends_are_accepted(own):
    data = codecs.BOM_UTF8 + json.dumps(ENTITY).encode() + b"\r\n\r\n"
    assert [entity.id for entity in load(own(data)).entities] == ["a"]


def test_numbers_as_ids_and_null_are_what_they_mean(own):
    entity = {"id": 7, "name": "Ann", "aliases": None, "description": None, "types": None, "images": None}
    data = load(own([entity], dev=[{"id": 1, "surface": "Ann", "answer": 7, "image": None, "text": None}]))
    assert data.entities == [Entity(id="7", name="Ann")]
    assert data.split("dev") == [Mention(id="1", surface="Ann", answer="7")]


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        (b'{"id": "b", ', "", "not JSON"),
        (b"[1]", "", "not a JSON object"),
        (b'{"name": "B"}', "id", "missing"),
        (b'{"id": "", "name": "B"}', "id", "empty"),
        (b'{"id": true, "name": "B"}', "id", "must be a text in quotes, not True"),
        (b'{"id": "b", "name": "B", "images": {"a": "x.png"}}', "images", "must be a list"),
        (b'{"id": "b", "name": "B", "images": [true]}', "images.0", "must be a text"),
        (b'{"id": "b", "nmae": "B"}', "nmae", "not a field of this format; remove it, or use one of id, name"),
        (b'{"id": "b", "name": "\xff"}', "", "not UTF-8 at byte 22"),
        (b'{"id": "a", "name": "B"}', "id", "'a' is also the id of record 1"),
        (b'{"id": "b"}', "name", "so is the description"),
        (b'{"id": "b", "name": "B", "images": ["../x.png"]}', "images", "leaves the data set's directory"),
        (b'{"id": "b", "name": "B", "images": ["c\\\\..\\\\..\\\\x.png"]}', "images", "leaves"),
        (b'{"id": "b", "name": "B", "images": ["/etc/x.png"]}', "images", "leaves"),
        (b'{"id": "b", "name": "B", "images": [""]}', "images", "empty path"),
        (b'{"id": "b", "name": "B", "images": ["\\u0000.png"]}', "images", "null character"),
    ],
)
def test_a_bad_entity_is_named_by_file_line_and_field(own, line, field, words):
    directory = own(json.dumps(ENTITY).encode() + b"\n\n" + line + b"\n")
    with pytest.raises(BadData) as error:
        load(directory)
    assert faults(error) == [("entities.jsonl", 3, field)]
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    data = load(directory, skip_bad=True)
    assert [entity.id for entity in data.entities] == ["a"]
    assert [record.number for record in data.skipped] == [3]


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"id": "m"}, "id", "'m' is also the id of record 1"),
        ({"answer": "z"}, "answer", "'z' is not in the knowledge base"),
        ({"end": 99}, "start", "outside the text of 8 characters"),
        ({"start": -1}, "start", "outside the text"),
        ({"end": 4}, "start", "not the surface"),
        ({"end": None}, "start", "both"),
        ({"start": "0"}, "start", "must be a whole number, not '0'"),
        ({"start": False}, "start", "must be a whole number"),
        ({"image": "../secret.png"}, "image", "leaves"),
        ({"image": ""}, "image", "empty path"),
    ],
)
def test_a_bad_mention_is_named_by_file_line_and_field(own, change, field, words):
    directory = own([ENTITY], train=[MENTION, {**MENTION, "id": "n", **change}])
    with pytest.raises(BadData) as error:
        load(directory).split("train")
    assert faults(error) == [("train.jsonl", 2, field)]
    assert words in str(error.value)
    data = load(directory, skip_bad=True)
    assert [mention.id for mention in data.split("train")] == ["m"]
    data.split("train")
    assert len(data.skipped) == 1  # reading a split again does not count it again


def test_all_bad_records_are_collected_and_the_first_twenty_listed(own):
    with pytest.raises(BadData) as error:
        load(own([ENTITY] + [{"id": "a"} for _ in range(25)]))
    assert len(error.value.records) == 25
    text = str(error.value).splitlines()
    assert len(text) == 21
    assert text[-1] == "and 5 more bad records"
    assert "field 'name'" in text[0]  # two faults, one line


def test_nothing_left_is_an_error_even_when_bad_records_are_skipped(own):
    with pytest.raises(BadData, match="missing"):
        load(own([{"name": "B"}]), skip_bad=True)


@pytest.mark.parametrize("content", [b"", b" \n\n"])
def test_empty_files_are_errors(own, content):
    with pytest.raises(BadData, match=r"dev\.jsonl: is empty"):
        load(own([ENTITY], dev=content)).split("dev")
    with pytest.raises(BadData, match=r"entities\.jsonl: is empty"):
        load(own(content), skip_bad=True)


def test_an_absent_split_names_those_that_exist(own):
    data = load(own([ENTITY], dev=[MENTION]))
    for name in ("test", "../dev"):
        with pytest.raises(MelderError, match=r"the splits there: dev \(dev\.jsonl\)"):
            data.split(name)
    (data.directory / "dev.jsonl").unlink()
    with pytest.raises(MelderError, match="only entities"):
        data.split("test")


def test_pictures_outside_the_data_set_have_no_place(own):
    data = load(own([ENTITY]))
    for locate in (data.entity_image, data.mention_image):
        with pytest.raises(MelderError, match="leaves"):
            locate("../x.png")


def test_directories_of_no_known_layout_say_what_is_wanted(tmp_path, own, mimic):
    with pytest.raises(MelderError, match="does not exist"):
        load(tmp_path / "nowhere")
    with pytest.raises(
        MelderError, match=r"needs entities\.jsonl .* kb_entity\.json .* Wikidata-MEL\.json .* train\.json"
    ):
        load(tmp_path)
    with pytest.raises(MelderError, match=r"entities\.jsonl: is missing"):
        load(tmp_path, layout="own")
    with pytest.raises(MelderError, match="is a file"):
        load(own([ENTITY]) / "entities.jsonl")
    with pytest.raises(MelderError, match="no layout 'csv'; there are own, mimic, melbench, kgmel, gemel"):
        load(tmp_path, layout="csv")
    mimic()
    with pytest.raises(MelderError, match=r"holds both .* say which with layout=own or layout=mimic"):
        load(tmp_path)
    assert load(tmp_path, layout="own").entities[0].id == "a"
    assert load(tmp_path, layout="mimic").entities[0].id == "Q1"
