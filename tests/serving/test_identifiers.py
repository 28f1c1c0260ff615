"""The forms of an id: whichever of them the knowledge base has, and whichever is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from melder.data import DataSet
from melder.export.addresses import address_of
from melder.records import Entity
from melder.serving import DataSetCatalogue
from melder.serving.identifiers import find_identified, forms_of

SPACES = ("urn:melder:kb:", "http://127.0.0.1:8000/entities/", "http://www.wikidata.org/entity/")


def found(identity: str, query: str) -> bool:
    entities = [Entity(id=identity, name="x"), Entity(id="Q900", name="another")]
    catalogue = DataSetCatalogue(DataSet(Path(), entities, layout=None))  # type: ignore[arg-type]
    entity = find_identified(query, catalogue, SPACES)
    return entity is not None and entity.id == identity


@pytest.mark.parametrize(
    "query",
    [
        "http://www.wikidata.org/entity/Q90",
        "https://www.wikidata.org/entity/Q90",
        "https://www.wikidata.org/wiki/Q90",
        "http://www.wikidata.org/wiki/Q90",
        "Q90",
        " Q90 ",
        "wd:Q90",
    ],
)
@pytest.mark.parametrize("identity", ["http://www.wikidata.org/entity/Q90", "Q90", "https://www.wikidata.org/wiki/Q90"])
def test_every_form_finds_every_form(identity: str, query: str) -> None:
    assert found(identity, query)


@pytest.mark.parametrize(
    ("identity", "query"),
    [
        ("GN", "http://127.0.0.1:8000/entities/GN"),
        ("GN", "https://127.0.0.1:8000/entities/GN"),
        ("GN", "urn:melder:kb:GN"),
        ("obj/12/picture", "http://127.0.0.1:8000/entities/obj%2F12%2Fpicture"),
        ("http://dbpedia.org/resource/Paris", "dbr:Paris"),
        ("https://d-nb.info/gnd/118540238", "gnd:118540238"),
        ("118540238", "https://d-nb.info/gnd/118540238"),
        ("wd:Q90", "http://www.wikidata.org/entity/Q90"),
        ("wd:Q90", "Q90"),
    ],
)
def test_forms_of_other_places(identity: str, query: str) -> None:
    assert found(identity, query)


@pytest.mark.parametrize(
    ("identity", "query"),
    [
        ("Q90", "Q9"),
        ("Q90", "http://example.org/entity/x/Q90"),
        ("Q90", "http://www.wikidata.org/entity/Q900"),
        ("http://example.org/a/Q90", "Q90"),
        ("Paris", "Paris: the city"),
    ],
)
def test_what_is_another_entity_is_not_found(identity: str, query: str) -> None:
    assert not found(identity, query)


def test_nothing_and_much_have_no_forms() -> None:
    assert forms_of("  ") == []
    assert forms_of("Q" * 3000) == []


@pytest.mark.parametrize(
    ("identity", "address"),
    [
        ("Q90", "http://www.wikidata.org/entity/Q90"),
        ("a/b", "http://www.wikidata.org/entity/a%2Fb"),
        ("http://www.wikidata.org/entity/Q90", "http://www.wikidata.org/entity/Q90"),
        ("https://example.org/a b", "http://www.wikidata.org/entity/https%3A%2F%2Fexample.org%2Fa%20b"),
    ],
)
def test_no_prefix_is_put_before_an_address(identity: str, address: str) -> None:
    assert address_of(identity, "http://www.wikidata.org/entity/") == address
