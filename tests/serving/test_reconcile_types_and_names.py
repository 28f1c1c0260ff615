"""Reconciliation: types that should be, names but for diacritics, and queries that ask for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from melder.records import Entity
from melder.serving import ServiceSettings, create_application
from serving.test_reconcile import ask, ids, should
from serving.toy import ToySource

CROWD = [Entity(id=f"c{number}", name=f"Guinea {number}", types=("country",)) for number in range(30)]
ENTITIES = (
    *CROWD,
    Entity(id="hen", name="Guineafowl", description="A fowl of the far south.", types=("animal", "bird")),
    Entity(id="fish", name="Trout", types=("animal",)),
    Entity(id="mu", name="Müller", types=("person",)),
    Entity(id="lo", name="Łódź", types=("city",)),
    Entity(id="re", name="Resume", types=("text",)),
    Entity(id="ré", name="Résumé", types=("text",)),
)


@pytest.fixture(scope="module")
def crowd() -> Iterator[TestClient]:
    source = ToySource(ENTITIES)
    with TestClient(create_application(source, source.open(), ServiceSettings(wait=0.0))) as client:
        yield client


@pytest.mark.parametrize(
    ("query", "kind", "limit", "wanted"),
    [
        ("Guinea", "animal", 5, ["hen", "fish"]),
        ("Guinea", ["bird"], 5, ["hen"]),
        ("Guinea of the fowl", "animal", 2, ["hen"]),
        ("Guinea", "person", 3, ["mu"]),
        ("Guinea", "no such type", 3, []),
    ],
)
def test_entities_of_a_type_that_should_be_are_looked_for(
    crowd: TestClient, query: str, kind: str | list[str], limit: int, wanted: list[str]
) -> None:
    """However many of another type fit better."""
    result = ask(crowd, {"q": should(query, kind, limit=limit)})["q"]["result"]
    assert len(result) == limit
    assert [each["id"] for each in result[: len(wanted)]] == wanted
    assert not any(each["match"] for each in result[len(wanted) :])
    scores = [each["score"] for each in result]
    assert scores == sorted(scores, reverse=True)


def test_each_query_of_a_batch_gets_those_of_its_own_type(crowd: TestClient) -> None:
    kinds = ("animal", "person", "country", "city")
    answers = ask(crowd, {kind: should("Guinea", kind, limit=3) for kind in kinds})
    firsts = {kind: answers[kind]["result"][0]["type"][0]["id"] for kind in kinds}
    assert firsts == {kind: kind for kind in kinds}


@pytest.mark.parametrize(
    ("query", "first", "match"),
    [
        ("Müller", "mu", True),
        ("MÜLLER ", "mu", True),
        ("Mu\u0308ller", "mu", True),
        ("Muller", "mu", False),
        ("Lodz", "lo", False),
        ("Łodz", "lo", False),
        ("Łódź", "lo", True),
        ("Resume", "re", True),
        ("Résumé", "ré", True),
        ("Résume", None, False),
    ],
)
def test_a_name_but_for_its_diacritics_is_offered_and_no_match(
    crowd: TestClient, query: str, first: str | None, match: bool
) -> None:
    result = ask(crowd, {"q": {"query": query}})["q"]["result"]
    assert first is None or result[0]["id"] == first
    assert [each["match"] for each in result] == [match, *[False] * (len(result) - 1)]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"query": ""}, "field 'query': is empty"),
        ({"query": " \u200b"}, "field 'query': is empty"),
        ({"query": "", "properties": [{"pid": "context", "v": " "}]}, "field 'query': is empty"),
        ({"query": "Guinea", "limit": -1}, "field 'limit': must be a number from 1 up, not -1"),
        ({"query": "Guinea", "limit": 0}, "field 'limit': must be a number from 1 up, not 0"),
        ({"query": "Guinea", "limit": 0.5}, "field 'limit': must be a number from 1 up, not 0.5"),
    ],
)
def test_a_query_that_asks_for_nothing_has_an_error_of_its_own(
    crowd: TestClient, wrong: dict[str, Any], words: str
) -> None:
    answers = ask(crowd, {"wrong": wrong, "good": {"query": "Trout"}})
    assert answers["wrong"]["result"] == []
    assert words in answers["wrong"]["error"]
    assert ids(answers["good"])[0] == "fish"


def test_a_name_may_be_left_empty_beside_other_evidence(crowd: TestClient) -> None:
    query = {"query": "", "properties": [{"pid": "context", "v": "Trout"}]}
    assert ids(ask(crowd, {"q": query})["q"])[0] == "fish"
