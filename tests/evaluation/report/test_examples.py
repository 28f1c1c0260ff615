from __future__ import annotations

from pathlib import Path

import pytest

from melder.data.dataset import DataSet, load
from melder.evaluation.report.examples import CANDIDATES, confident_errors, confused_pairs, examples
from melder.metrics.confusions import Confusion
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
    (example,) = examples([mention], [link("m", *((f"Q{n}", 9.0 - n) for n in range(8)))], [2.0], dataset)
    assert (example.text, example.start, example.end, example.answer) == ("In Mali.", 3, 7, "name 1")
    assert example.picture == dataset.directory / "m.png"
    assert [shown.id for shown in example.candidates] == [f"Q{n}" for n in range(CANDIDATES)]
    assert [shown.gold for shown in example.candidates] == [False, True, False, False, False]
    assert [shown.picture for shown in example.candidates[:2]] == [None, dataset.directory / "1.png"]
    assert example.candidates[1].units == {"text": 8.0}
    assert (example.id, example.rank, example.groups) == ("m", 2.0, ())
    assert example.confused == {"Q0", "Q1"}


def test_a_gold_entity_that_is_none_of_the_first_comes_last_with_its_rank(dataset: DataSet) -> None:
    mentions = [Mention(id="m", answer="Q6"), Mention(id="n", answer="Q7")]
    links = [link(id, *((f"Q{n}", 9.0 - n) for n in range(7))) for id in "mn"]
    kept, lost = (
        example.candidates[-1] for example in examples(mentions, links, [7.0, 3000.5], dataset, groups=["x", "y"])
    )
    assert (kept.id, kept.gold, kept.score, kept.units, kept.rank) == ("Q6", True, 3.0, {"text": 3.0}, 7.0)
    assert (lost.id, lost.gold, lost.score, lost.units, lost.rank) == ("Q7", True, None, {}, 3000.5)
    assert lost.picture == dataset.directory / "7.png"


def test_a_mention_without_answer_and_picture_has_neither(dataset: DataSet) -> None:
    (example,) = examples([Mention(id="m", surface="x")], [link("m", ("Q1", 1.0))], [None], dataset)
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
    assert confident_errors(mentions, links) == [2, 3, 0]


def test_confused_pairs_have_names_and_pictures(dataset: DataSet) -> None:
    (pair,) = confused_pairs([Confusion("Q1", "Q0", 3, 1)], dataset)
    assert (pair.first.name, pair.second.name, pair.taken, pair.taken_back) == ("name 1", "name 0", 3, 1)
    assert (pair.first.picture, pair.second.picture) == (dataset.directory / "1.png", None)
