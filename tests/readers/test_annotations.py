"""Tasks of Label Studio and Prodigy: out and back, as the tools write them, and what is wrong in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from melder.data.annotations.formats import Annotations
from melder.data.annotations.reading import FORMATS
from melder.io.problems import Problems
from melder.records import Mention

MENTIONS = [
    Mention(id="a", text="🏏 Guinea won", start=2, end=8, surface="Guinea", answer="GN", image="a.png", language="en"),
    Mention(id="b", text="Nobody", start=0, end=6, surface="Nobody", answer=None, image=("1.png", "2.png")),
    Mention(id="c", text='"Mali"\n', start=1, end=5, surface="Mali", answer="a/b ü"),
]
OPEN = Mention(id="d", text="Mali", start=0, end=4, surface="Mali")
TEXT = "🏏 Guinea met Mali"


def read(name: str, content: str) -> Annotations:
    annotations = Annotations("file", Problems())
    FORMATS[name].read(content.encode(), annotations)
    return annotations


@pytest.mark.parametrize("name", ["melder", "label-studio", "prodigy"])
def test_what_goes_out_comes_back(name: str) -> None:
    back = read(name, FORMATS[name].write(MENTIONS))
    assert (back.mentions, back.problems.records, back.unanswered) == (MENTIONS, [], 0)
    assert all("answer" in mention.model_fields_set for mention in back.mentions)


@pytest.mark.parametrize("name", ["label-studio", "prodigy"])
def test_a_mention_that_nobody_has_answered_is_no_nil(name: str) -> None:
    back = read(name, FORMATS[name].write([OPEN, *MENTIONS]))
    assert (back.mentions, back.unanswered) == (MENTIONS, 1)


def region(start: int, end: int, text: str | None, identity: str = "r") -> dict[str, Any]:
    value = {"start": start, "end": end, "labels": ["City"]} | ({} if text is None else {"text": text})
    return {"id": identity, "type": "labels", "from_name": "ner", "to_name": "txt", "value": value}


def answer(kind: str, name: str, content: object, identity: str = "r") -> dict[str, Any]:
    return {"id": identity, "type": kind, "from_name": "q", "to_name": "txt", "value": {name: content}}


def task(*results: dict[str, Any], **annotation: Any) -> dict[str, Any]:
    return {"id": 7, "data": {"text": TEXT}, "annotations": [{"result": list(results), **annotation}]}


EXPORTS = [
    (task(region(2, 8, "Guinea"), answer("textarea", "text", ["GN"])), [(2, 8, "GN")], 0),
    (task(region(3, 9, "Guinea"), answer("choices", "choices", ["GN"])), [(2, 8, "GN")], 0),  # UTF-16
    (task(region(13, 17, None), answer("taxonomy", "taxonomy", [["Places", "ML"]])), [(13, 17, "ML")], 0),
    (task(answer("textarea", "text", "NIL"), region(2, 8, "Guinea")), [(2, 8, None)], 0),
    (task(region(2, 8, "Guinea")), [], 1),
    (task(region(2, 8, "Guinea"), answer("textarea", "text", [" "])), [], 1),
    (task(region(2, 8, "Guinea"), answer("textarea", "text", ["GN"], "another")), [], 1),
    (task(region(2, 8, "Guinea"), answer("textarea", "text", ["GN"]), was_cancelled=True), [], 0),
    (
        task(
            region(2, 8, "Guinea", "x"),
            region(13, 17, "Mali", "y"),
            answer("textarea", "text", ["ML"], "y"),
            answer("textarea", "text", ["GN"], "x"),
        ),
        [(2, 8, "GN"), (13, 17, "ML")],
        0,
    ),
    ({"data": {"text": TEXT}, "annotations": [3], "predictions": {}}, [], 0),
    (task(region(2, 8, "Guinea") | {"id": [1]}, answer("textarea", "text", ["GN"]) | {"id": {}}), [], 1),
]


@pytest.mark.parametrize(("exported", "mentions", "unanswered"), EXPORTS)
def test_exports_of_label_studio(exported: Any, mentions: Any, unanswered: int) -> None:
    back = read("label-studio", json.dumps([exported]))
    assert not back.problems.records
    assert [(mention.start, mention.end, mention.answer) for mention in back.mentions] == mentions
    assert back.unanswered == unanswered
    assert len({mention.id for mention in back.mentions}) == len(mentions)


def test_the_ground_truth_goes_before_the_last_annotation() -> None:
    exported = task(region(2, 8, "Guinea"), answer("textarea", "text", ["GN"]), ground_truth=True)
    exported["annotations"].append({"result": [region(2, 8, "Guinea"), answer("textarea", "text", ["GW"])]})
    assert [mention.answer for mention in read("label-studio", json.dumps([exported])).mentions] == ["GN"]
    exported["annotations"][0]["ground_truth"] = False
    assert [mention.answer for mention in read("label-studio", json.dumps([exported])).mentions] == ["GW"]


SPAN = {"start": 2, "end": 8}
TASKS = [
    ({"spans": [SPAN], "accept": ["GN"], "answer": "accept"}, [(2, "GN")], 0),
    ({"spans": [SPAN], "accept": [5], "answer": "accept", "meta": "x"}, [(2, "5")], 0),
    ({"spans": [SPAN], "accept": ["NIL_otherLink"], "answer": "accept"}, [(2, None)], 0),
    ({"spans": [SPAN], "accept": ["NIL_ambiguous"], "answer": "accept"}, [], 1),
    ({"spans": [SPAN], "accept": ["GN"], "answer": "ignore"}, [], 1),
    ({"spans": [SPAN], "accept": [], "answer": "accept"}, [], 1),
    ({"spans": [SPAN | {"kb_id": None}], "answer": "accept"}, [], 1),
    ({"spans": [SPAN], "accept": [None], "answer": "accept"}, [], 1),
    (
        {
            "spans": [SPAN | {"kb_id": "GN"}, {"start": 13, "end": 17, "kb_id": "ML"}],
            "accept": ["x"],
            "answer": "accept",
        },
        [(2, "GN"), (13, "ML")],
        0,
    ),
]


@pytest.mark.parametrize(("stored", "mentions", "unanswered"), TASKS)
def test_tasks_of_prodigy(stored: Any, mentions: Any, unanswered: int) -> None:
    back = read("prodigy", json.dumps({"text": TEXT, **stored}))
    assert not back.problems.records
    assert [(mention.start, mention.answer) for mention in back.mentions] == mentions
    assert back.unanswered == unanswered


BAD = [
    ("label-studio", json.dumps([{"text": TEXT, "label": []}]), "record 1, field 'data.text'"),
    ("label-studio", json.dumps([task(region(2, 8, "Mali"), answer("textarea", "text", ["ML"]))]), "field 'start'"),
    ("label-studio", json.dumps([task(region(2, 80, None), answer("textarea", "text", ["ML"]))]), "field 'start'"),
    ("prodigy", "[1]", "is no JSON object"),
    ("prodigy", '{"text": "a"}', "field 'spans'"),
    ("prodigy", '{"text": "a", "spans": [{"start": 0, "end": 3}], "accept": ["x"], "answer": "accept"}', "[0, 3)"),
]


@pytest.mark.parametrize(("name", "content", "said"), BAD)
def test_what_is_wrong_is_named(name: str, content: str, said: str) -> None:
    back = read(name, content)
    assert not back.mentions
    (record,) = back.problems.records
    assert said in str(record)
