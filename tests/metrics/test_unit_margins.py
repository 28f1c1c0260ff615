from __future__ import annotations

import pytest

from melder.metrics.unit_margins import unit_margins
from melder.records import Candidate, Link, Mention


def link(*candidates: tuple[str, dict[str, float]]) -> Link:
    listed = tuple(Candidate(id=i, name=i, score=sum(units.values()), units=units) for i, units in candidates)
    return Link(id="m", start=None, end=None, surface="", candidates=listed)


GOLD = Mention(id="m", answer="g")
RIGHT = link(("g", {"text": 3.0, "image": 1.0}), ("x", {"text": 1.0, "image": 2.0}), ("y", {"text": 0.0}))
WRONG = link(("x", {"text": 2.0, "image": 1.0}), ("y", {"text": 2.5}), ("g", {"text": 0.5, "image": 1.0}))


def test_a_margin_is_the_gold_part_less_that_of_the_best_other_candidate() -> None:
    found = unit_margins([GOLD, GOLD, GOLD], [RIGHT, WRONG, RIGHT])
    assert list(found) == ["text", "image"]
    assert (found["text"].right, found["text"].wrong) == (2.0, -1.5)
    assert (found["image"].right, found["image"].wrong) == (-1.0, 0.0)
    assert found["text"].prefers == pytest.approx(2 / 3)
    assert found["image"].prefers == pytest.approx(0.5 / 3)  # a tie counts half
    low, high = found["text"].prefers_ci
    assert 0 <= low <= 2 / 3 <= high <= 1


def test_margins_of_the_units_add_up_to_that_of_the_score() -> None:
    found = unit_margins([GOLD], [WRONG])
    assert sum(each.wrong or 0 for each in found.values()) == WRONG.candidates[2].score - WRONG.candidates[0].score
    assert found["text"].right is None


def test_mentions_whose_gold_entity_or_rival_is_unknown_are_left_out() -> None:
    alone, without = link(("g", {"text": 1.0})), link(("x", {"text": 1.0}), ("y", {"text": 0.0}))
    nil = Mention(id="n")
    assert unit_margins([GOLD, GOLD, nil, GOLD], [alone, without, RIGHT, RIGHT])["text"].mentions == 1
    assert unit_margins([GOLD, nil], [alone, RIGHT]) == {}


def test_a_linker_that_tells_no_units_has_no_margins() -> None:
    assert unit_margins([GOLD], [link(("g", {}), ("x", {}))]) == {}
