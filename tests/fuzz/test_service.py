"""The service: whatever is sent, an answer or a refusal of one sentence, and never an error of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.testclient import TestClient

from fuzz.mutations import PLENTY, edited, spoilt, texts
from melder.serving import ServiceSettings, create_application
from melder.serving.errors import ApiError, parsed, refused
from melder.serving.reconcile.queries import mention_of, pictures_of, read_queries
from melder.serving.requests import BatchRequest, LinkRequest
from serving.toy import ToySource

LINK: dict[str, Any] = {"text": "Guinea won the toss", "mentions": [{"start": 0, "end": 6}], "image": "AAAA", "k": 3}
QUERY = {
    "query": "Guinea",
    "type": "country",
    "limit": 3,
    "properties": [{"pid": "context", "v": ["won", 1, True, {"id": "GN", "name": "x"}]}, {"pid": "image", "v": "AAAA"}],
    "type_strict": "any",
}
EXTEND = {"ids": ["GN", "none"], "properties": [{"id": "description", "settings": {"limit": 1}}, {"id": "types"}]}
MODELS: list[tuple[type[BaseModel], object]] = [
    (LinkRequest, LINK),
    (BatchRequest, {"requests": [LINK, {"text": "x"}]}),
]
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\nGuinea won\r\n'
    b'--x\r\nContent-Disposition: form-data; name="mentions"\r\n\r\n[{"start": 0, "end": 6}]\r\n'
    b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\nContent-Type: image/png\r\n\r\n\x89PN\r\n'
    b'--x\r\nContent-Disposition: form-data; name="k"\r\n\r\n2\r\n--x--\r\n'
)
NIF = b"""@prefix nif: <http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
<http://example.org/d#char=0,10> a nif:Context ; nif:isString "Guinea won"@en .
<http://example.org/d#char=0,6> a nif:String ; nif:anchorOf "Guinea" ; nif:beginIndex "0"^^xsd:nonNegativeInteger ;
  nif:endIndex "6"^^xsd:nonNegativeInteger ; nif:referenceContext <http://example.org/d#char=0,10> .
"""


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    source = ToySource()
    with TestClient(
        create_application(source, source.open(), ServiceSettings(wait=0.0)), raise_server_exceptions=True
    ) as asked:
        yield asked


def check(answer: Any) -> None:
    assert answer.status_code < 500
    if answer.status_code >= 400:
        said = json.loads(getattr(answer, "body", None) or answer.content)["error"]
        assert said
        assert "Traceback" not in said
        assert len(said) < 2000


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(("kind", "example"), MODELS, ids=[kind.__name__ for kind, _ in MODELS])
@PLENTY
@given(st.data())
def test_requests_are_parsed_or_refused(kind: type[BaseModel], example: object, data: st.DataObject) -> None:
    content = data.draw(st.one_of(edited(example).map(as_json), spoilt([as_json(example)])))
    try:
        parsed(kind, content)
    except ApiError as refusal:
        check(refused(refusal.status_code, refusal.detail))


@PLENTY
@given(st.data())
def test_queries_are_read_or_refused(data: st.DataObject) -> None:
    example = {"q0": QUERY, "q1": {"query": "x"}}
    content = data.draw(st.one_of(edited(example).map(as_json), spoilt([as_json(example)])))
    try:
        queries = read_queries(content.decode(errors="replace"), ServiceSettings())
    except ApiError as refusal:
        check(refused(refusal.status_code, refusal.detail))
        return
    for query in queries.values():
        if not isinstance(query, str):
            mention_of(query)
            pictures_of(query)
            assert 1 <= query.wanted(50) <= 50


@PLENTY
@given(st.one_of(edited(LINK).map(as_json), spoilt([as_json(LINK)])))
def test_link(client: TestClient, content: bytes) -> None:
    check(client.post("/link", content=content, headers={"Content-Type": "application/json"}))


@PLENTY
@given(spoilt([FORM]), st.sampled_from(["x", "y", "", 'x"', "x" * 300]))
def test_multipart_forms(client: TestClient, content: bytes, boundary: str) -> None:
    kind = f"multipart/form-data; boundary={boundary}"
    check(client.post("/link", content=content, headers={"Content-Type": kind}))


@PLENTY
@given(st.sampled_from([("queries", {"q0": QUERY}), ("extend", EXTEND)]), st.data())
def test_reconciliation(client: TestClient, what: tuple[str, object], data: st.DataObject) -> None:
    name, example = what
    value = data.draw(st.one_of(edited(example).map(json.dumps), spoilt([as_json(example)])))
    check(client.post("/reconcile", data={name: value}))


@PLENTY
@given(
    st.sampled_from(["entity", "type", "property"]),
    st.dictionaries(st.sampled_from(["prefix", "cursor", "limit", "x"]), texts, max_size=3),
)
def test_suggestions(client: TestClient, kind: str, parameters: dict[str, str]) -> None:
    parameters = {name: value.encode(errors="replace").decode() for name, value in parameters.items()}
    check(client.get(f"/reconcile/suggest/{kind}", params=parameters))


@PLENTY
@given(spoilt([NIF, b"<a> <b> <c> ."]))
def test_nif(client: TestClient, content: bytes) -> None:
    pytest.importorskip("rdflib", reason="the extra `nif` is not installed")
    check(client.post("/nif", content=content, headers={"Content-Type": "text/turtle"}))
