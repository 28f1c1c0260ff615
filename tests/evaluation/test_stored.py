from __future__ import annotations

from pathlib import Path

import pytest

from melder.data.dataset import DataSet, load
from melder.evaluation.predictions import Prediction
from melder.evaluation.stored import links_of, mentions_of, ranks_of
from melder.records import Entity, MelderError, Mention

ENTITIES = {f"Q{n}": Entity(id=f"Q{n}", name=f"name {n}") for n in range(4)}
SPLITS = {
    "dev": [Mention(id="a", answer="Q0"), Mention(id="b", answer="Q1"), Mention(id="c")],
    "test": [Mention(id="a", answer="Q3"), Mention(id="b", answer="Q1")],
}


@pytest.fixture
def dataset(tmp_path: Path) -> DataSet:
    for name, records in {"entities": ENTITIES.values(), **SPLITS}.items():
        lines = [record.model_dump_json() + "\n" for record in records]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return load(tmp_path)


def row(id: str, gold: str | None, rank: int = 1, pessimistic: int | None = None, first: str = "Q0") -> Prediction:
    ranks = (None, None) if gold is None else (rank, pessimistic or rank)
    candidates = [{"id": first, "score": 1.0, "units": {"text": 1.0}}]
    return Prediction(
        id=id,
        gold=gold,
        rank_optimistic=ranks[0],
        rank_pessimistic=ranks[1],
        nil_probability=None,
        candidates=candidates,  # type: ignore[arg-type]
    )


def test_ranks_are_those_of_the_mentions_with_an_answer() -> None:
    assert ranks_of([row("a", "Q0", 2, 3), row("c", None), row("b", "Q1")]).realistic.tolist() == [2.5, 1.0]
    assert len(ranks_of([row("c", None)])) == 0


def test_the_split_is_the_one_with_the_same_answers(dataset: DataSet) -> None:
    split, mentions = mentions_of([row("b", "Q1"), row("a", "Q0")], dataset, "p.jsonl")
    assert (split, [mention.id for mention in mentions]) == ("dev", ["b", "a"])
    assert mentions_of([row("a", "Q3")], dataset, "p.jsonl")[0] == "test"


def test_mentions_of_no_split_are_named(dataset: DataSet) -> None:
    rows = [row("a", "Q0"), *(row(f"x{n}", "Q1") for n in range(7))]
    with pytest.raises(MelderError) as error:
        mentions_of(rows, dataset, "p.jsonl")
    assert str(error.value).startswith("p.jsonl: no split of ")
    assert "dev comes nearest and lacks 'x0', 'x1', 'x2', 'x3', 'x4' and 2 more; give the data set" in str(error.value)


def test_a_data_set_of_entities_alone_is_an_error(dataset: DataSet) -> None:
    for split in SPLITS:
        (dataset.directory / f"{split}.jsonl").unlink()
    with pytest.raises(MelderError, match="has no split, only entities"):
        mentions_of([row("a", "Q0")], dataset, "p.jsonl")


def test_links_have_names_and_units() -> None:
    (link,) = links_of([row("a", "Q0", first="Q2")], [Mention(id="a", surface="s")], ENTITIES, "p.jsonl")
    assert (link.id, link.surface) == ("a", "s")
    (candidate,) = link.candidates
    assert (candidate.id, candidate.name, candidate.units) == ("Q2", "name 2", {"text": 1.0})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (row("a", "Q0", first="Q9"), "'Q9' not among the entities"),
        (row("a", "Q8"), "'Q8' not among the entities"),
        (row("a", "Q0", 5), "rank 5 among 4 entities"),
    ],
)
def test_predictions_against_other_entities_are_refused(wrong: Prediction, words: str) -> None:
    with pytest.raises(MelderError, match=rf"^p\.jsonl, mention 'a': {words}.*--kb"):
        links_of([wrong], [Mention(id="a")], ENTITIES, "p.jsonl")
