from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from melder.evaluation.predictions import CANDIDATES, predictions, read_predictions, write_predictions
from melder.records import BadData, Candidate, Link, MelderError, Mention, Ranks

GOOD = {
    "id": "m",
    "gold": "Q1",
    "rank_optimistic": 1,
    "rank_pessimistic": 2,
    "nil_probability": None,
    "candidates": [{"id": "Q1", "score": 0.5}],
}


def link(mention: str, count: int) -> Link:
    candidates = tuple(Candidate(id=f"Q{i}", name="n", score=1 / (i + 3)) for i in range(count))
    return Link(id=mention, start=None, end=None, surface="s", nil_probability=0.25, candidates=candidates)


def written(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    mentions = [Mention(id="é1", answer="Q0"), Mention(id="nil"), Mention(id="3", answer="Q7")]
    ranks = Ranks(np.array([1, 8]), np.array([2, 9]))  # the mention without an answer has no rank
    rows = predictions(mentions, [link(m.id, 30) for m in mentions], ranks)
    write_predictions(tmp_path / "p.jsonl", rows)
    assert read_predictions(tmp_path / "p.jsonl") == rows
    assert [(r.gold, r.rank_optimistic, r.rank_pessimistic) for r in rows] == [
        ("Q0", 1, 2),
        (None, None, None),
        ("Q7", 8, 9),
    ]
    assert {len(row.candidates) for row in rows} == {CANDIDATES}


def test_a_line_has_the_fields_of_the_format(tmp_path: Path) -> None:
    rows = predictions([Mention(id="m", answer="Q0")], [link("m", 1)], Ranks(np.array([1]), np.array([1])))
    write_predictions(tmp_path / "p.jsonl", rows)
    (line,) = (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {
        "id": "m",
        "gold": "Q0",
        "rank_optimistic": 1,
        "rank_pessimistic": 1,
        "nil_probability": 0.25,
        "candidates": [{"id": "Q0", "score": 1 / 3}],
    }


def test_units_are_written_where_they_are_told(tmp_path: Path) -> None:
    told = Candidate(id="Q0", name="n", score=3.0, units={"text": 1.0, "image": 2.0})
    answer = Link(id="m", start=None, end=None, surface="s", candidates=(told,))
    rows = predictions([Mention(id="m", answer="Q0")], [answer], Ranks(np.array([1]), np.array([1])))
    write_predictions(tmp_path / "p.jsonl", rows)
    line = json.loads((tmp_path / "p.jsonl").read_text(encoding="utf-8"))
    assert line["candidates"] == [{"id": "Q0", "score": 3.0, "units": {"text": 1.0, "image": 2.0}}]
    assert read_predictions(tmp_path / "p.jsonl") == rows


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rank_optimistic": 3}, "rank_pessimistic"),
        ({"rank_optimistic": 0}, "rank_optimistic"),
        ({"rank_optimistic": None}, "rank_optimistic"),
        ({"gold": None}, "rank_optimistic"),
        ({"gold": 3}, "gold"),
        ({"nil_probability": 1.5}, "nil_probability"),
        ({"candidates": [{"id": "Q1", "score": float("nan")}]}, "candidates.0.score"),
        ({"candidates": [{"id": "Q1", "score": 1.0, "units": {"text": "x"}}]}, "candidates.0.units.text"),
        ({"candidates": [{"id": "Q1", "score": 1.0}] * 21}, "candidates"),
        ({"extra": 1}, "extra"),
        ({"id": "first"}, "id"),
    ],
)
def test_a_bad_line_is_named_by_file_line_and_field(tmp_path: Path, change: dict[str, object], field: str) -> None:
    path = written(tmp_path / "p.jsonl", {**GOOD, "id": "first"}, {**GOOD, **change})
    with pytest.raises(BadData) as error:
        read_predictions(path)
    (record,) = error.value.records
    assert (record.file, record.number, record.field) == (str(path), 2, field)


def test_every_bad_line_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(f"{{\n\n{json.dumps(GOOD)}\n[]\n", encoding="utf-8")
    with pytest.raises(BadData) as error:
        read_predictions(path)
    assert [record.number for record in error.value.records] == [1, 4]


def test_a_file_that_is_not_there_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(MelderError, match=r"absent\.jsonl: cannot be read") as error:
        read_predictions(tmp_path / "absent.jsonl")
    assert "\n" not in str(error.value)
