"""The rules by which `benchmarks/error_book.py` says what kind an error is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from melder.evaluation.predictions import Prediction, Scored
from melder.records import Entity, Mention

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from error_book import drawn, is_wrong, kind

ENTITIES = {
    entity.id: entity
    for entity in (
        Entity(id="player", name="Michael Jordan", description="American basketball player of the Chicago Bulls"),
        Entity(id="scholar", name="Michael Jordan", description="American professor of statistics"),
        Entity(id="river", name="Jordan", aliases=("Jordán",), description="river in the Middle East"),
        Entity(id="country", name="Jordan", description="country in the Middle East"),
        Entity(id="goths", name="Jordanes", description="historian of the Goths"),
        Entity(id="street", name="Straße der Einheit", description=""),
    )
}


def prediction(gold: str | None, best: str, identity: str = "m") -> Prediction:
    ranks = None if gold is None else 2
    return Prediction(
        id=identity,
        gold=gold,
        rank_optimistic=ranks,
        rank_pessimistic=ranks,
        nil_probability=None,
        candidates=(Scored(id=best, score=1.0),),
    )


@pytest.mark.parametrize(
    ("surface", "text", "right", "best", "expected"),
    [
        ("Michael Jordan", "Michael Jordan, the professor, spoke.", "scholar", "player", "namesake, could"),
        ("MICHAEL JORDAN", "A basketball signed by MICHAEL JORDAN.", "player", "scholar", "namesake, could"),
        ("Michael Jordan", "Michael Jordan, an American, spoke.", "scholar", "player", "namesake, cannot"),
        ("Jordan", "They crossed the Jordan.", "river", "country", "namesake, cannot"),
        ("Jordan", "They crossed the Jordan, a river.", "river", "country", "namesake, could"),
        ("Jordan", "Jordan is a country.", "country", "goths", "overruled"),
        ("jordán", "They crossed the jordán.", "river", "country", "overruled"),
        ("Jordan", "Jordan threw the ball.", "player", "river", "partial"),
        ("STRASSE", "STRASSE gesperrt", "street", "river", "partial"),
        ("Mike Jordan", "Mike Jordan threw it.", "player", "river", "alike"),
        ("Goths", "The Goths' own historian.", "goths", "river", "hidden"),
        ("", "No span at all.", "goths", "river", "hidden"),
    ],
)
def test_the_first_rule_that_holds_names_the_kind(
    surface: str, text: str, right: str, best: str, expected: str
) -> None:
    mention = Mention(id="m", text=text, surface=surface, answer=right)
    assert kind(mention, prediction(right, best), ENTITIES) == expected


def test_mentions_without_an_answer_are_no_errors_and_right_ones_are_none() -> None:
    assert [is_wrong(row) for row in (prediction("river", "country"), prediction("river", "river"))] == [True, False]
    assert not is_wrong(prediction(None, "river"))
    assert not is_wrong(prediction("river", "country").model_copy(update={"candidates": ()}))


@pytest.mark.parametrize("count", [0, 7, 30, 99])
def test_the_same_errors_are_drawn_whatever_order_they_come_in(count: int) -> None:
    rows = [prediction("river", "country", f"m{number}") for number in range(30)]
    assert drawn(rows, count, 43) == drawn(rows[::-1], count, 43)
    assert len(drawn(rows, count, 43)) == min(count, 30)
    assert count not in (7,) or drawn(rows, count, 43) != drawn(rows, count, 44)
