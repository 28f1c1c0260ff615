"""SKOS, schema.org and lists of titles, small and made by hand in the published formats."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import rdflib

from melder.data.tables.options import Notes
from melder.data.vocabularies.imported import Imported
from melder.data.vocabularies.mediawiki_titles import title_entities
from melder.data.vocabularies.schema_org import schema_entities
from melder.data.vocabularies.skos import skos_entities
from melder.io.problems import Problems
from melder.languages import Languages
from melder.records import Entity, MelderError

GERMAN = Languages(("de", "en"))

THESAURUS = """
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix xl: <http://www.w3.org/2008/05/skos-xl#> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix : <http://example.org/> .
:vessel a skos:Concept ; skos:prefLabel "Gefäß"@de, "vessel"@en .
:krug a skos:Concept ; skos:prefLabel "Krug"@de, "jug"@en, "cruche"@fr ;
  skos:altLabel "Humpen"@de, "pichet"@fr ; skos:hiddenLabel "Kruhg"@de ; skos:broader :vessel ;
  skos:definition "Ein Gefäß\\n  mit Henkel."@de ; skos:scopeNote "unused"@de ;
  foaf:depiction <http://example.org/pictures/Krug%201.jpg> .
:mug a skos:Concept ; skos:prefLabel "mug" ; skos:scopeNote "A cup."@en .
:tasse a skos:Concept ; xl:prefLabel [ xl:literalForm "Tasse"@de ] .
:bol a skos:Concept ; skos:prefLabel "bol"@fr .
:scheme a skos:ConceptScheme ; skos:prefLabel "Vessels" .
"""
CONCEPTS = [
    Entity(
        id="http://example.org/krug",
        name="Krug",
        aliases=("jug", "Humpen", "Kruhg"),
        description="Ein Gefäß mit Henkel.",
        types=("Gefäß",),
        images=("Krug 1.jpg",),
        labels={"de": "Krug", "en": "jug"},
    ),
    Entity(id="http://example.org/mug", name="mug", description="A cup."),
    Entity(id="http://example.org/tasse", name="Tasse"),
    Entity(
        id="http://example.org/vessel",
        name="Gefäß",
        aliases=("vessel",),
        labels={"de": "Gefäß", "en": "vessel"},
    ),
]


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("t.ttl", "turtle"),
        ("t.rdf", "xml"),
        ("t.nt", "nt"),
        ("t.jsonld", "json-ld"),
        ("t.trig", "trig"),
        ("t.ttl.gz", "turtle"),
    ],
)
def test_concepts_of_a_thesaurus_are_entities(tmp_path: Path, name: str, syntax: str) -> None:
    graph = rdflib.Dataset(default_union=True) if syntax == "trig" else rdflib.Graph()
    graph.parse(data=THESAURUS)
    data = graph.serialize(format=syntax).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    notes = Notes()
    found = list(skos_entities(tmp_path / name, GERMAN, notes))
    assert [imported.entity for imported in found] == CONCEPTS
    assert found[0].addresses == ("http://example.org/pictures/Krug%201.jpg",)
    assert list(notes) == ["1 concept without a preferred label in these languages is left out"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.ttl", "this is no turtle", "is not read as turtle"),
        ("t.rdf", "<rdf", "is not read as xml"),
        ("t.txt", "", "is none of .ttl, .rdf"),
        ("t.nt", "", "holds no concept of SKOS"),
        (
            "t.jsonld",
            '{"@context": "https://example.org/context", "@id": "x"}',
            "has its @context at https://example.org",
        ),
        ("t.jsonld", '{"@graph": [{"@context": [{"@import": "https://example.org"}]}]}', "imports a context"),
        ("t.jsonld", "{", "is not JSON"),
    ],
)
def test_a_thesaurus_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(MelderError, match=words):
        list(skos_entities(tmp_path / name, GERMAN, Notes()))


PRODUCTS = {
    "@context": "https://schema.org",
    "@graph": [
        {
            "@type": "Product",
            "@id": "http://shop.example/1",
            "name": [{"@value": "Mug", "@language": "en"}, {"@value": "Becher", "@language": "de"}],
            "alternateName": ["Cup", {"@value": "Tasse", "@language": "de"}],
            "description": {"@value": "Ein Becher.", "@language": "de"},
            "image": [
                "http://shop.example/mug%201.jpg",
                {"@type": "ImageObject", "contentUrl": "http://shop.example/b.jpg"},
            ],
            "brand": {"@type": "Brand", "@id": "http://shop.example/brand", "schema:name": "Potters"},
            "offers": {"@type": "Offer", "price": 3},
        },
        {
            "@type": ["https://schema.org/Place", "Museum"],
            "identifier": {"@type": "PropertyValue", "value": 7},
            "name": "Louvre",
        },
        {"@type": "Person", "name": "No id"},
        {"@type": "Product", "@id": "http://shop.example/1", "name": "again"},
    ],
}
OBJECTS = [
    Entity(
        id="http://shop.example/1",
        name="Becher",
        aliases=("Mug", "Tasse", "Cup"),
        description="Ein Becher.",
        types=("Product",),
        images=("mug 1.jpg", "b.jpg"),
        labels={"de": "Becher", "en": "Mug"},
    ),
    Entity(id="http://shop.example/brand", name="Potters", types=("Brand",)),
    Entity(id="7", name="Louvre", types=("Place", "Museum")),
]


def read_schema(path: Path) -> tuple[list[Imported], list[str], list[str]]:
    problems, notes = Problems(), Notes()
    found = list(schema_entities(path, GERMAN, problems, notes))
    return found, [str(record) for record in problems.records], list(notes)


def test_objects_with_an_id_and_a_name_are_entities(tmp_path: Path) -> None:
    (tmp_path / "p.jsonld").write_text(json.dumps(PRODUCTS, indent=1), encoding="utf-8")
    found, faults, notes = read_schema(tmp_path / "p.jsonld")
    assert [imported.entity for imported in found] == OBJECTS
    assert found[0].addresses == ("http://shop.example/mug%201.jpg", "http://shop.example/b.jpg")
    assert faults == []
    assert "1 object has the id of an earlier one, and is left out" in notes
    assert any("no id, or no name" in note for note in notes)


def test_lines_of_json_ld_are_read_and_others_named(tmp_path: Path) -> None:
    lines = [json.dumps(value) for value in PRODUCTS["@graph"][:2]]
    (tmp_path / "p.jsonl").write_text("\n".join([lines[0], "{", lines[1]]))
    found, faults, _ = read_schema(tmp_path / "p.jsonl")
    assert len(found) == 3
    assert "record 2: is not JSON" in faults[0]
    (tmp_path / "p.jsonl").write_text('[{"name": "x"}]')
    assert "holds no object with an id and a name" in read_schema(tmp_path / "p.jsonl")[1][0]


@pytest.mark.parametrize("name", ["titles", "titles.gz"])
def test_titles_of_a_wiki_are_entities(tmp_path: Path, name: str) -> None:
    data = b"page_title\nMercury_(planet)\nC++\n\nS\xc3\xa3o_Tom\xc3\xa9\n(I_Can't_Get_No)_Satisfaction\n(sic)\n\xff\n"
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    problems, notes = Problems(), Notes()
    entities = [imported.entity for imported in title_entities(tmp_path / name, problems, notes)]
    assert entities == [
        Entity(id="Mercury (planet)", name="Mercury", aliases=("Mercury (planet)",), description="planet"),
        Entity(id="C++", name="C++"),
        Entity(id="São Tomé", name="São Tomé"),
        Entity(id="(I Can't Get No) Satisfaction", name="(I Can't Get No) Satisfaction"),
        Entity(id="(sic)", name="(sic)"),
    ]
    assert "record 8: is not UTF-8" in str(problems.records[0])
    assert "redirects cannot be told from pages" in next(iter(notes))
