from __future__ import annotations

import numpy as np
import pytest

from melder.evaluation.comparison import COMPARED, compare
from melder.evaluation.predictions import Prediction, Scored
from melder.evaluation.stored import ranks_of
from melder.metrics.metrics import metrics
from melder.metrics.significance import paired_difference
from melder.records import MelderError

NAMES = ("a.jsonl", "b.jsonl")


def rows(ranks: dict[str, float | None], gold: str = "Q1") -> list[Prediction]:
    """Predictions by the id of the mention; rank 1.5 is a tie for the first two places, None a NIL mention."""
    return [
        Prediction(
            id=id,
            gold=None if rank is None else gold,
            rank_optimistic=None if rank is None else int(np.floor(rank)),
            rank_pessimistic=None if rank is None else int(np.ceil(rank)),
            nil_probability=None,
            candidates=(Scored(id="Q1", score=1.0),),
        )
        for id, rank in ranks.items()
    ]


A = rows({"m1": 1, "m2": 1, "m3": 4, "nil": None, "m4": 1.5, "m5": 7, "m6": 1})
B = rows({"m6": 3, "m5": 1, "m4": 1, "m3": 2, "m2": 9, "m1": 1, "nil": None})  # in another order


def test_wins_and_losses_are_those_whom_one_alone_ranks_first_the_worst_first() -> None:
    found = compare(A, B, NAMES)
    ids = [row.id for row in found.first]
    assert ids == [row.id for row in found.second] == ["m1", "m2", "m3", "m4", "m5", "m6"]
    assert [ids[row] for row in found.only_a] == ["m2", "m6"]
    assert [ids[row] for row in found.only_b] == ["m5", "m4"]  # a tie for the first place is no hit
    assert (found.both, found.neither) == (1, 1)


def test_figures_are_those_of_each_and_their_paired_difference() -> None:
    found = compare(A, B, NAMES)
    assert tuple(found.figures) == COMPARED
    for name in COMPARED:
        assert found.figures[name]["a"] == pytest.approx(metrics(ranks_of(A), 10)[name])
        assert found.figures[name]["b"] == pytest.approx(metrics(ranks_of(B), 10)[name])
    expected = paired_difference([1, 1, 1 / 4, 1 / 1.5, 1 / 7, 1], [1, 1 / 9, 1 / 2, 1, 1, 1 / 3])
    mrr = found.figures["mrr"]
    assert (mrr["difference"], mrr["p"]) == (expected.mean, expected.p)
    assert mrr["difference_ci"] == list(expected.interval)
    assert all(figure["p"] <= figure["p_holm"] <= 1 for figure in found.figures.values())


def test_a_system_does_not_differ_from_itself() -> None:
    found = compare(A, A[::-1], NAMES)
    assert {(f["difference"], f["p"], f["p_holm"]) for f in found.figures.values()} == {(0.0, 1.0, 1.0)}
    assert len(found.only_a) == len(found.only_b) == 0


def test_the_json_names_files_and_ids() -> None:
    found = compare(A, B, NAMES).as_json()
    assert (found["a"], found["b"], found["mentions"]) == ("a.jsonl", "b.jsonl", 6)
    assert (found["only_a_right"], found["only_b_right"]) == (["m2", "m6"], ["m5", "m4"])
    assert (found["both_right"], found["neither_right"]) == (1, 1)


def test_other_mentions_are_named() -> None:
    others = rows({f"n{number}": 1 for number in range(8)})
    with pytest.raises(MelderError) as error:
        compare(A[:2] + others[:1], A[:1] + others[1:], NAMES)
    assert str(error.value) == (
        "a.jsonl and b.jsonl are not of the same mentions: only a.jsonl has 'm2', 'n0'; "
        "only b.jsonl has 'n1', 'n2', 'n3', 'n4', 'n5' and 2 more; "
        "write both with `melder evaluate --predictions` on one split"
    )
    with pytest.raises(MelderError, match=r"mentions: only a\.jsonl has 'm2'; write"):
        compare(A[:2], A[:1], NAMES)


@pytest.mark.parametrize("gold", ["Q2", None])
def test_other_answers_are_named(gold: str | None) -> None:
    others = rows({"m1": None}) if gold is None else rows({"m1": 1}, gold)
    with pytest.raises(MelderError, match=r"^a\.jsonl and b\.jsonl, field 'gold': differ for 'm1'; write both"):
        compare(A[:1], others, NAMES)


@pytest.mark.parametrize("given", [[], rows({"nil": None})])
def test_mentions_without_an_answer_alone_cannot_be_compared(given: list[Prediction]) -> None:
    with pytest.raises(MelderError, match=r"^a\.jsonl: no mention has an answer"):
        compare(given, given, NAMES)
