"""POST /nif, asked as GERBIL asks (a marked document) and without marks; the answers are read with rdflib."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

pytest.importorskip("rdflib", reason="the extra `nif` is not installed")

import rdflib

from serving.conftest import Start
from serving.toy import ToySource

NIF = rdflib.Namespace("http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#")
ITS = rdflib.Namespace("http://www.w3.org/2005/11/its/rdf#")
PREFIXES = """@prefix nif: <http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#> .
@prefix itsrdf: <http://www.w3.org/2005/11/its/rdf#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""
TEXT = '🏏 Guinea met \\"Mercury\\"'  # as Turtle writes quotes
CONTEXT = f"""{PREFIXES}<http://example.org/d1#char=0,22> a nif:RFC5147String, nif:String, nif:Context ;
  nif:beginIndex "0"^^xsd:nonNegativeInteger ; nif:endIndex "22"^^xsd:nonNegativeInteger ; nif:isString "{TEXT}" .
"""
MARKED = """<http://example.org/d1#char=2,8> a nif:RFC5147String, nif:String ; nif:anchorOf "Guinea" ;
  nif:beginIndex "2"^^xsd:nonNegativeInteger ; nif:endIndex "8"^^xsd:nonNegativeInteger ;
  itsrdf:taIdentRef <http://example.org/what-was-said-before> ;
  nif:referenceContext <http://example.org/d1#char=0,22> .
"""


def asked(client: TestClient, document: str) -> dict[str, str]:
    """The address of each mention's entity, by the mention's resource."""
    answer = client.post("/nif", content=document.encode(), headers={"Content-Type": "application/x-turtle"})
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/turtle")
    graph = rdflib.Graph().parse(data=answer.content, format="turtle")
    assert len(list(graph.subjects(NIF.isString))) >= 1
    for resource in graph.subjects(ITS.taIdentRef):
        context = graph.value(resource, NIF.referenceContext)
        start, end = (int(graph.value(resource, name)) for name in (NIF.beginIndex, NIF.endIndex))
        assert str(graph.value(context, NIF.isString))[start:end] == str(graph.value(resource, NIF.anchorOf))
    return {str(resource): str(entity) for resource, entity in graph.subject_objects(ITS.taIdentRef)}


def test_a_marked_mention_gets_its_entity_and_no_other_is_looked_for(client: TestClient) -> None:
    found = asked(client, CONTEXT + MARKED)
    assert found == {"http://example.org/d1#char=2,8": "http://www.wikidata.org/entity/GN"}


def test_in_a_document_without_marks_mentions_are_found(start: Start) -> None:
    found = asked(start(entity_uri="http://example.org/e/"), CONTEXT)
    assert found == {
        "http://example.org/d1#char=2,8": "http://example.org/e/GN",
        "http://example.org/d1#char=14,21": "http://example.org/e/m1",
    }


def test_several_texts_of_a_document_keep_their_mentions_apart(client: TestClient) -> None:
    other = CONTEXT.removeprefix(PREFIXES).replace("d1", "d2").replace("Guinea", "Nobody")
    found = asked(client, CONTEXT + MARKED + other)
    assert {key.rpartition("/")[2]: value.rpartition("/")[2] for key, value in found.items()} == {
        "d1#char=2,8": "GN",
        "d2#char=14,21": "m1",
    }


def test_ids_become_parts_of_addresses(client: TestClient) -> None:
    assert sorted(asked(client, CONTEXT.replace("Mercury", "Slash")).values()) == [
        "http://www.wikidata.org/entity/GN",
        "http://www.wikidata.org/entity/a%2Fb",
    ]


@pytest.mark.parametrize(
    ("document", "status", "sentence"),
    [
        ("no turtle", 400, "the document is not Turtle ("),
        ("\0", 400, "the document is not Turtle ("),
        ("", 422, "the document has no text: give a resource with nif:isString"),
        (CONTEXT + MARKED.replace('"8"', '"1"'), 422, "http://example.org/d1#char=2,8: nif:beginIndex"),
        (CONTEXT + MARKED.replace('"8"', '"eight"'), 422, "http://example.org/d1#char=2,8: nif:beginIndex"),
        (CONTEXT + MARKED.replace('"8"', f'"{"9" * 5000}"'), 422, "http://example.org/d1#char=2,8: nif:beginIndex"),
        (CONTEXT + MARKED.replace('"8"', '"800"'), 422, "field 'mentions.0': [2, 800) covers no words"),
    ],
)
def test_a_mistake_is_one_sentence(client: TestClient, document: str, status: int, sentence: str) -> None:
    answer = client.post("/nif", content=document.encode())
    assert (answer.status_code, answer.json()["error"][: len(sentence)]) == (status, sentence)
    assert "\n" not in answer.json()["error"]


XSD = "http://www.w3.org/2001/XMLSchema#"


@pytest.mark.parametrize(
    "literal",
    [
        '"1e100000000"^^xsd:decimal',
        '"1e100000000"^^xsd:double',
        "1e100000000",
        f'"{"9" * 100_000}"^^xsd:integer',
        f"{'9' * 4_000}",
        '"<a><b/></a>"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#XMLLiteral>',
        '"P999999999Y"^^xsd:duration',
    ],
)
@pytest.mark.parametrize("predicate", ["<urn:other>", "nif:confidence", "itsrdf:taConfidence"])
def test_a_literal_stays_the_text_that_it_is(client: TestClient, literal: str, predicate: str) -> None:
    document = f"{CONTEXT}<http://example.org/d1#char=0,22> {predicate} {literal} ."
    answer = client.post("/nif", content=document.encode())
    assert answer.status_code in (200, 400)
    assert len(answer.content) < len(document) + 4_000


def test_only_nif_is_kept(client: TestClient) -> None:
    other = "".join(f"<urn:s{number}> <urn:p> <urn:o{number}> ." for number in range(100))
    answer = client.post("/nif", content=(CONTEXT + MARKED + other).encode())
    assert answer.status_code == 200
    assert b"urn:s" not in answer.content
    graph = rdflib.Graph().parse(data=answer.content, format="turtle")
    assert {str(p).startswith((str(NIF), str(ITS), str(rdflib.RDF))) for _, p, _ in graph} == {True}


@pytest.mark.parametrize(
    ("more", "status", "sentence"),
    [
        ("<http://a\\u0020x> <urn:p> <urn:o> .", 400, "the document has the address 'http://a x'"),
        ("<urn:s> <http://a\\u003Cx> <urn:o> .", 400, "the document has the address"),
        ("<urn:s> <urn:p> <http://a\\u0000x> .", 400, "the document has the address"),
        (f"<urn:{'x' * 3_000}> <urn:p> <urn:o> .", 400, "the document has the address"),
        ('<urn:s> <urn:p> "Guinea\\uD800" .', 400, "the document holds half of a surrogate pair"),
        ('<urn:s> nif:isString "\\uDFFF" .', 400, "the document holds half of a surrogate pair"),
        ("<urn:s> <urn:p\\uD800> 1 .", 400, "the document holds half of a surrogate pair"),
        ("<urn:s> <urn:p> <urn:o> ." * 4_100, 413, "the document has more than 4,000 triples"),
        ("# " + "x" * 1_000_000, 413, "the document has more than 1,000,000 bytes"),
    ],
)
def test_what_no_document_may_hold_is_refused(client: TestClient, more: str, status: int, sentence: str) -> None:
    answer = client.post("/nif", content=(CONTEXT + more.replace("\\\\", "\\")).encode())
    assert (answer.status_code, answer.json()["error"][: len(sentence)]) == (status, sentence)
    assert "\n" not in answer.json()["error"]


def test_lists_and_prefixes_do_not_multiply(client: TestClient) -> None:
    prefix = f"@prefix p: <urn:{'x' * 2_000}> .\n"
    many = "".join(f"p:{number} nif:anchorOf p:x ." for number in range(1_000))
    answer = client.post("/nif", content=(CONTEXT + prefix + many).encode())
    assert answer.status_code in (200, 400, 413)
    numbers = " ".join(map(str, range(5_000)))
    assert client.post("/nif", content=f"{CONTEXT}<urn:s> <urn:p> ({numbers}) .".encode()).status_code == 413


def test_an_id_that_is_an_address_stays_one(source: ToySource, start: Start) -> None:
    address = "http://www.wikidata.org/entity/Q1006"
    source.entities["GN"] = source.entities["GN"].model_copy(update={"id": address})
    assert asked(start(), CONTEXT + MARKED) == {"http://example.org/d1#char=2,8": address}
