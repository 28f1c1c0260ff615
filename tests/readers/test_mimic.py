"""The layout of MIMIC, M3EL and OT-MEL, its peculiarities included."""

from __future__ import annotations

import codecs
import json

import pytest

from melder.data import load
from melder.records import BadData, MelderError

ANN = {"id": 0, "qid": "Q1", "type": "entity", "entity_name": "Ann%20B", "image_list": ["Q1_0.png"], "desc": "50%25"}
BOB = {**ANN, "id": 1, "qid": "Q2", "entity_name": "Bob", "attr": "Sex: male."}
MENTION = {"mentions": "Ann", "sentence": "Hi Ann, Ann!", "imgPath": "", "answer": "Q1", "entities": "Ann"}


def faults(error: pytest.ExceptionInfo[BadData]) -> list[tuple[str, int, str]]:
    return [(record.file.rsplit("/")[-1], record.number, record.field) for record in error.value.records]


def test_entities_are_sorted_by_number_and_known_by_qid(mimic):
    data = load(mimic(kb_entity=[BOB, ANN], qid2id={"Q1": 0, "Q2": 1}))
    assert [entity.id for entity in data.entities] == ["Q1", "Q2"]
    assert data.entities[0].images == ("Q1_0.png",)
    assert data.entity_image("Q1_0.png") == data.directory / "kb_image" / "Q1_0.png"


def test_percent_encoding_is_undone_in_names_and_surfaces_only(mimic):
    mention = {**MENTION, "mentions": "Ann%20B", "sentence": "Ann B or Ann%20B"}
    data = load(mimic(kb_entity=[ANN], WIKIMEL_train=[mention]))
    assert data.entities[0].name == "Ann B"
    assert data.entities[0].description == "50%25"
    read = data.split("train")[0]
    assert (read.surface, read.text, read.start, read.end) == ("Ann B", "Ann B or Ann%20B", 0, 5)


def test_the_span_is_the_first_occurrence_or_null(mimic):
    absent, empty = {**MENTION, "mentions": "Bob"}, {**MENTION, "mentions": ""}
    mentions = load(mimic(a_dev=[MENTION, absent, empty])).split("dev")
    assert [(mention.start, mention.end) for mention in mentions] == [(3, 6), (None, None), (None, None)]


def test_a_mention_without_id_is_named_by_split_and_place(mimic):
    mentions = load(mimic(a_dev=[MENTION, {**MENTION, "id": "x"}, {**MENTION, "id": 17}])).split("dev")
    assert [mention.id for mention in mentions] == ["dev-0", "x", "17"]


@pytest.mark.parametrize(
    ("published", "opened"),
    [("", None), ("4711.png", "4711.jpg"), ("some/dir/4711.png", "4711.jpg"), ("a.b.c.jpeg", "a.jpg"), ("a", "a.jpg")],
)
def test_a_mention_picture_is_its_base_name_up_to_the_first_dot_as_jpeg(mimic, published, opened):
    assert load(mimic(a_dev=[{**MENTION, "imgPath": published}])).split("dev")[0].image == opened


@pytest.mark.parametrize("folder", ["mention_image", "mention_images"])
def test_mention_pictures_lie_in_either_folder(mimic, folder):
    directory = mimic()
    (directory / folder).mkdir()
    assert load(directory).mention_image("a.jpg") == directory / folder / "a.jpg"


def test_nil_answers_are_kept(mimic):
    mentions = load(mimic(a_dev=[{**MENTION, "answer": "nil"}, {**MENTION, "answer": None}])).split("dev")
    assert [mention.answer for mention in mentions] == [None, None]


@pytest.mark.parametrize("name", ["WIKIMEL_dev", "wiki_diverse_dev", "WikiDiverse_DEV", "dev"])
def test_split_files_are_found_by_their_endings(mimic, name):
    assert len(load(mimic(**{name: [MENTION]})).split("dev")) == 1


def test_two_files_for_one_split_are_an_error(mimic):
    with pytest.raises(MelderError, match=r"a_dev\.json, b_dev\.json"):
        load(mimic(a_dev=[MENTION], b_dev=[MENTION])).split("dev")


def test_the_text_field_chooses_between_attr_and_desc(mimic):
    directory = mimic(kb_entity=[{**BOB, "id": 0}], qid2id={})
    assert load(directory, text_field="desc").entities[0].description == "50%25"
    assert load(directory, text_field="attr").entities[0].description == "Sex: male."
    with pytest.raises(MelderError, match="use attr or desc"):
        load(directory, text_field="text")
    with pytest.raises(BadData, match=r"field 'attr': is missing; .* text_field=desc"):
        load(mimic(kb_entity=[ANN]), text_field="attr")


def test_identifiers_come_from_qid2id_where_the_record_has_none(mimic):
    nameless = {name: value for name, value in ANN.items() if name != "qid"}
    spread = b'{\n  "Q9": 0,\n  "Q8": 0\n}'  # over several lines, with a redirect
    data = load(mimic(kb_entity=[nameless], qid2id=spread, a_dev=[{**MENTION, "answer": "Q8"}]))
    assert [entity.id for entity in data.entities] == ["Q9"]
    assert data.split("dev")[0].answer == "Q9"
    (data.directory / "qid2id.json").unlink()
    with pytest.raises(BadData, match=r"qid2id\.json has no name for 0"):
        load(data.directory)


def test_an_entity_may_lack_its_name_or_its_text_but_not_both(mimic):
    nameless, bare = {**ANN, "entity_name": ""}, {**BOB, "desc": ""}
    directory = mimic(kb_entity=[nameless, bare], qid2id={})
    assert len(load(directory).entities) == 2
    with pytest.raises(BadData, match="so is the description"):
        load(mimic(kb_entity=[{**nameless, "desc": " "}]))


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"id": 0}, "id", "0 is also the id of record 1"),
        ({"id": "1"}, "id", "must be a whole number, not '1'"),
        ({"id": True}, "id", "must be a whole number"),
        ({"id": -1}, "id", "must be a number from 0 up"),
        ({"qid": "Q1"}, "id", "qid2id.json says 0 for Q1"),
        ({"qid": ""}, "qid", "empty"),
        ({"type": "relation"}, "type", "must be 'entity', not 'relation'"),
        ({"entity_name": None}, "entity_name", "must be a text"),
        ({"image_list": "Q2.png"}, "image_list", "must be a list"),
        ({"image_list": ["../Q2.png"]}, "image_list", "leaves"),
        ({"desc": 3}, "desc", "must be a text"),
        ({"desc": "\ud800"}, "desc", "surrogate"),
    ],
)
def test_a_bad_entity_is_named_by_its_place_and_published_field(mimic, change, field, words):
    directory = mimic(kb_entity=[ANN, {**BOB, **change}], qid2id={"Q1": 0})
    with pytest.raises(BadData) as error:
        load(directory)
    assert faults(error) == [("kb_entity.json", 2, field)]
    assert words in str(error.value)
    data = load(directory, skip_bad=True)
    assert [entity.id for entity in data.entities] == ["Q1"]
    assert len(data.skipped) == 1


def test_the_same_qid_twice_is_an_error(mimic):
    with pytest.raises(BadData, match=r"record 2, field 'qid': 'Q1' is also the id of record 1"):
        load(mimic(kb_entity=[ANN, {**BOB, "qid": "Q1"}], qid2id={}))


def test_a_gap_in_the_numbers_is_an_error(mimic):
    with pytest.raises(BadData, match="must run from 0 to 1, but 1 is missing"):
        load(mimic(kb_entity=[ANN, {**BOB, "id": 2}]))


@pytest.mark.parametrize("field", ["mentions", "sentence", "imgPath", "answer"])
def test_a_missing_field_of_a_mention_is_named(mimic, field):
    broken = {name: value for name, value in MENTION.items() if name != field}
    with pytest.raises(BadData) as error:
        load(mimic(a_dev=[MENTION, broken])).split("dev")
    assert faults(error) == [("a_dev.json", 2, field)]


@pytest.mark.parametrize(
    ("change", "field"), [({"answer": "Q7"}, "answer"), ({"id": "dev-0"}, "id"), ({"imgPath": "a/.."}, "imgPath")]
)
def test_a_bad_mention_is_skipped_on_request(mimic, change, field):
    directory = mimic(a_dev=[MENTION, {**MENTION, **change}])
    with pytest.raises(BadData) as error:
        load(directory).split("dev")
    assert faults(error) == [("a_dev.json", 2, field)]
    data = load(directory, skip_bad=True)
    assert len(data.split("dev")) == 1
    assert [record.field for record in data.skipped] == [field]


def test_records_before_a_syntax_error_are_kept_on_request(mimic):
    cut = json.dumps([MENTION, MENTION, MENTION], indent=1).encode()[:-20]
    directory = mimic(a_dev=cut)
    with pytest.raises(BadData) as error:
        load(directory).split("dev")
    assert faults(error) == [("a_dev.json", 3, "")]
    assert "not JSON" in str(error.value)
    assert len(load(directory, skip_bad=True).split("dev")) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"[]", "is empty"),
        (b"{}", "is not a JSON array"),
        (b"[1]", "record 1: is not a JSON object"),
        (b"[" * 100_000, "not JSON"),
        ("[é]".encode("utf-16"), "not UTF-8"),
    ],
)
def test_files_that_hold_no_records_say_so(mimic, content, words):
    with pytest.raises(BadData, match=words):
        load(mimic(a_dev=content), skip_bad=True).split("dev")


def test_a_byte_that_is_not_utf8_is_found_in_its_record(mimic):
    broken = json.dumps([MENTION, {**MENTION, "sentence": "?"}]).encode().replace(b"?", b"\xe9")
    with pytest.raises(BadData) as error:
        load(mimic(a_dev=broken)).split("dev")
    assert faults(error) == [("a_dev.json", 2, "sentence")]
    assert "not UTF-8" in str(error.value)


def test_a_byte_order_mark_is_accepted(mimic):
    assert load(mimic(kb_entity=codecs.BOM_UTF8 + json.dumps([ANN]).encode())).entities[0].id == "Q1"


@pytest.mark.parametrize(("content", "field"), [({"Q1": "zero"}, "Q1"), ([1], ""), (b'{"Q1": ', "")])
def test_a_bad_qid2id_is_named(mimic, content, field):
    with pytest.raises(BadData) as error:
        load(mimic(qid2id=content))
    assert faults(error) == [("qid2id.json", 0, field)]
