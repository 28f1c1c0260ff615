from __future__ import annotations

from pathlib import Path

import pytest

from melder.data.dataset import DataSet, load
from melder.evaluation.report.examples import CANDIDATES, confident_errors, examples
from melder.records import Candidate, Entity, Link, Mention

ENTITIES = [Entity(id=f"Q{n}", name=f"name {n}", images=(f"{n}.png", "other.png") if n else ()) for n in range(8)]


@pytest.fixture
def dataset(tmp_path: Path) -> DataSet:
    lines = [entity.model_dump_json() + "\n" for entity in ENTITIES]
    (tmp_path / "entities.jsonl").write_text("".join(lines), encoding="utf-8")
    return load(tmp_path)


def link(mention: str, *scored: tuple[str, float]) -> Link:
    candidates = tuple(Candidate(id=id, name=f"name of {id}", score=s, units={"text": s}) for id, s in scored)
    return Link(id=mention, start=None, end=None, surface="", candidates=candidates)


def test_an_example_holds_the_mention_and_its_first_candidates(dataset: DataSet) -> None:
    mention = Mention(id="m", text="In Mali.", start=3, end=7, surface="Mali", image="m.png", answer="Q1")
    (example,) = examples([mention], [link("m", *((f"Q{n}", 9.0 - n) for n in range(8)))], dataset)
    assert (example.text, example.start, example.end, example.answer) == ("In Mali.", 3, 7, "name 1")
    assert example.picture == dataset.directory / "m.png"
    assert [shown.id for shown in example.candidates] == [f"Q{n}" for n in range(CANDIDATES)]
    assert [shown.gold for shown in example.candidates] == [False, True, False, False, False]
    assert [shown.picture for shown in example.candidates[:2]] == [None, dataset.directory / "1.png"]
    assert example.candidates[1].units == {"text": 8.0}


def test_a_mention_without_answer_and_picture_has_neither(dataset: DataSet) -> None:
    (example,) = examples([Mention(id="m", surface="x")], [link("m", ("Q1", 1.0))], dataset)
    assert (example.answer, example.picture, example.candidates[0].gold) == (None, None, False)


def test_confident_errors_are_the_wrong_ones_by_margin() -> None:
    mentions = [Mention(id=str(n), answer=answer) for n, answer in enumerate(["Q1", "Q1", "Q1", "Q2", None, "Q1"])]
    links = [
        link("0", ("Q2", 5.0), ("Q1", 4.5)),
        link("1", ("Q1", 9.0), ("Q2", 0.0)),  # right
        link("2", ("Q2", 3.0), ("Q3", 1.0)),
        link("3", ("Q1", 1.0), ("Q2", 0.0)),
        link("4", ("Q1", 9.0), ("Q2", 0.0)),  # NIL
        link("5"),  # no candidates
    ]
    assert confident_errors(mentions, links, count=10) == [2, 3, 0]
    assert confident_errors(mentions, links, count=1) == [2]
