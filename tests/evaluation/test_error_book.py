"""The rules by which `benchmarks/error_book.py` says what kind an error is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from melder.evaluation.predictions import Prediction, Scored
from melder.records import Entity, Mention

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from error_book import drawn, is_wrong, kind, out_of_reach

ENTITIES = {
    entity.id: entity
    for entity in (
        Entity(id="player", name="Michael Jordan", description="American basketball player of the Chicago Bulls"),
        Entity(id="scholar", name="Michael Jordan", description="American professor of statistics"),
        Entity(id="river", name="Jordan", aliases=("Jordán",), description="river in the Middle East"),
        Entity(id="country", name="Jordan", description="country in the Middle East"),
        Entity(id="goths", name="Jordanes", description="historian of the Goths"),
        Entity(id="stream", name="jordan", description="river in the Middle East"),
        Entity(id="street", name="Straße der Einheit", description=""),
    )
}


def prediction(gold: str | None, best: str, identity: str = "m") -> Prediction:
    """Of a mention whose answer, if there is one, comes second."""
    rank, first = None if gold is None else 2, (Scored(id=best, score=1.0),)
    return Prediction(
        id=identity, gold=gold, rank_optimistic=rank, rank_pessimistic=rank, nil_probability=None, candidates=first
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
        ("Jordan", "Jordan threw the ball.", "player", "goths", "partial"),
        ("Jordan", "Jordan threw the ball.", "player", "scholar", "part, cannot"),
        ("Jordan", "Jordan threw the basketball.", "player", "river", "part, could"),
        ("michael", "Michael, the professor, spoke.", "scholar", "player", "part, could"),
        ("STRASSE", "STRASSE gesperrt", "street", "river", "partial"),
        ("Mike Jordan", "Mike Jordan threw it.", "player", "river", "alike"),
        ("Goths", "The Goths' own historian.", "goths", "river", "hidden"),
        ("Jordan", "They crossed the Jordan.", "river", "stream", "twins"),
        ("Jordan", "Jordan wrote a history.", "street", "country", "doubtful"),
        ("", "No span at all.", "goths", "river", "hidden"),
    ],
)
def test_the_first_rule_that_holds_names_the_kind(
    surface: str, text: str, right: str, best: str, expected: str
) -> None:
    mention = Mention(id="m", text=text, surface=surface, answer=right)
    assert kind(mention, prediction(right, best), ENTITIES) == expected


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (prediction("river", "country"), True),
        (prediction("river", "river"), False),
        (prediction(None, "river"), False),
        (prediction("river", "country").model_copy(update={"candidates": ()}), False),
    ],
)
def test_an_error_has_an_answer_and_another_first_candidate(row: Prediction, wrong: bool) -> None:
    assert is_wrong(row) is wrong


@pytest.mark.parametrize(
    ("error", "pictured", "expected"),
    [
        ("twins", True, True),
        ("doubtful", False, True),
        ("namesake, cannot", False, True),
        ("namesake, cannot", True, False),
        ("part, cannot", False, True),
        ("part, cannot", True, False),
        ("namesake, could", False, False),
        ("hidden", False, False),
    ],
)
def test_what_no_reader_could_tell_is_out_of_reach(error: str, pictured: bool, expected: bool) -> None:
    assert out_of_reach(error, pictured=pictured) is expected


ERRORS = [prediction("river", "country", f"m{number}") for number in range(30)]


@pytest.mark.parametrize("count", [0, 7, 30, 99])
def test_the_same_errors_are_drawn_whatever_order_they_come_in(count: int) -> None:
    assert drawn(ERRORS, count, 43) == drawn(ERRORS[::-1], count, 43)
    assert len(drawn(ERRORS, count, 43)) == min(count, 30)


def test_another_seed_draws_others() -> None:
    assert drawn(ERRORS, 7, 43) != drawn(ERRORS, 7, 44)
