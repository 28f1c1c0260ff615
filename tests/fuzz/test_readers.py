"""Every reader of data sets and entity files: what is read is records, and what is not is named in clear errors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.mutations import PLENTY, bytes_of, spoilt, told
from melder.data import EntityFile, load
from melder.data.layouts import LAYOUTS
from melder.evaluation.predictions import Prediction, read_predictions
from melder.io.problems import Problems
from melder.records import Entity, MelderError, Mention

ENTITIES = [
    {"id": "Q1", "name": "Ann", "aliases": ["A. Bell"], "description": "A cat.", "types": ["cat"], "images": ["a.png"]},
    {"id": "Q2", "name": "Bo"},
]
MENTION = {"id": "1", "text": "Ann met Bo", "start": 0, "end": 3, "surface": "Ann", "image": "b.png", "answer": "Q1"}
CAPTION = {
    "id": "7",
    "sentence": "Ann met Bo",
    "mentions": ["Ann", "Bo"],
    "entities": ["Ann", "Bo"],
    "answer": ["Q1", "nil"],
}
SPLITS = {"WikiMEL": {"train": [7], "val": [], "test": []}, "WikiDiverse": {"train": [0], "val": [1], "test": []}}
LINE = {
    "text": "a [START_ENT] UK [END_ENT]",
    "mention": "UK",
    "target": "Ann",
    "golden": "Q1",
    "img_url": "http://x/a.jpg",
}
FILES: dict[str, dict[str, Any]] = {
    "own": {"entities.jsonl": ENTITIES, "train.jsonl": [MENTION, {**MENTION, "id": "2", "answer": None}]},
    "mimic": {
        "kb_entity.json": [
            {"id": 0, "qid": "Q1", "type": "entity", "entity_name": "Ann", "image_list": ["a.jpg"], "desc": "A cat."},
            {"id": 1, "entity_name": "Bo", "image_list": [], "desc": ""},
        ],
        "qid2id.json": {"Q1": 0, "Q2": 1},
        "x_train.json": [{"sentence": "Ann met Bo", "mentions": "Ann", "imgPath": "d/a.b.png", "answer": "Q1"}],
    },
    "melbench": {
        "Wikidata-MEL.json": {"7": CAPTION},
        "ids_split_mappings.json": SPLITS,
        "entities.jsonl": ENTITIES,
    },
    "kgmel": {
        "WikiDiverse.json": [
            {"id": 0, "sentence": "Ann", "imgPath": "0.jpg", "mention": ["Ann"], "entity": ["Ann"], "answer": ["Q1"]}
        ],
        "ids_split_mappings.json": SPLITS,
    },
    "gemel": {"train.json": [LINE], "entities.jsonl": ENTITIES},
}
TABLE = b'id,name,aliases,description,types,images\nQ1,Ann,A. Bell|Annie,"A cat, and ""more"".",cat,a.png\nQ2,Bo,,,,\n'
TABLES = [TABLE, TABLE.replace(b",", b";"), b"\xef\xbb\xbf" + TABLE, TABLE.decode().encode("utf-16")]
PREDICTION = {
    "id": "1",
    "gold": "Q1",
    "rank_optimistic": 1,
    "rank_pessimistic": 2,
    "nil_probability": 0.1,
    "candidates": [{"id": "Q1", "score": 2.0, "units": {"text": 1.0}}],
}
LINES = (".jsonl", "train.json")  # files of one object a line


@pytest.mark.parametrize("layout", LAYOUTS.names())
@PLENTY
@given(st.data())
def test_a_data_set_is_read_or_refused(layout: str, directory: Path, data: st.DataObject) -> None:
    place = directory / layout
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name, example in FILES[layout].items():
        (place / name).write_bytes(data.draw(bytes_of(example, lines=name.endswith(LINES))))
    for skip_bad in (False, True):
        try:
            found = load(place, data.draw(st.sampled_from([layout, "auto"])), skip_bad=skip_bad)
            assert all(isinstance(each, Entity) for each in found.entities)
            for split in found.splits:
                assert all(isinstance(each, Mention) for each in found.split(split))
            for problem in found.skipped:
                str(problem).encode()
        except MelderError as error:
            told(error)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv"])
@PLENTY
@given(st.data())
def test_a_file_of_entities_is_read_or_refused(name: str, directory: Path, data: st.DataObject) -> None:
    content = spoilt(TABLES) if name != "a.jsonl" else bytes_of(ENTITIES, lines=True)
    path = directory / name
    path.write_bytes(data.draw(st.one_of(content, st.binary(max_size=60))))
    try:
        source = EntityFile(path)
        count, problems = source.check()
        entities = [entity for _, entity in source.entities(Problems())]
        assert count == len(entities)
        for problem in problems.records:
            str(problem).encode()
        json.dumps([entity.model_dump() for entity in entities]).encode()
        "".join(each.model_dump_json() for each in entities).encode()
    except MelderError as error:
        told(error)


@PLENTY
@given(st.one_of(bytes_of([PREDICTION, {**PREDICTION, "id": "2"}], lines=True), st.binary(max_size=60)))
def test_predictions_are_read_or_refused(directory: Path, content: bytes) -> None:
    path = directory / "predictions.jsonl"
    path.write_bytes(content)
    try:
        assert all(isinstance(each, Prediction) for each in read_predictions(path))
    except MelderError as error:
        told(error)
