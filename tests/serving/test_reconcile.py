"""The Reconciliation API 0.2: every answer, and every example that the specification gives, against its schemas.

The schemas and examples are read from the directory that RECONCILIATION_SPECIFICATION names, or from
../shared/specs/reconciliation-0.2 beside the repository.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from starlette.testclient import TestClient

from melder.records import Candidate, Link
from serving.conftest import Start
from serving.toy import ToyLinker, ToySource, picture

BESIDE = Path(__file__).parents[3] / "shared/specs/reconciliation-0.2"
SPECIFICATION = Path(os.environ.get("RECONCILIATION_SPECIFICATION", BESIDE))
CORS = "access-control-allow-origin"
needs_schemas = pytest.mark.skipif(
    not SPECIFICATION.is_dir(), reason="the schemas are not in ../shared, and RECONCILIATION_SPECIFICATION names none"
)


def faults(kind: str, value: object) -> list[str]:
    """What the schema of a message finds wrong with it; nothing where there are no schemas."""
    if not SPECIFICATION.is_dir():
        return []
    contents = {path.name: json.loads(path.read_text()) for path in (SPECIFICATION / "schemas").glob("*.json")}
    resources = [(name, Resource.from_contents(each, _draft())) for name, each in contents.items()]
    ids = [(str(each["$id"]), Resource.from_contents(each, _draft())) for each in contents.values()]
    validator = Draft7Validator(contents[f"{kind}.json"], registry=Registry().with_resources(resources + ids))
    return [error.message for error in validator.iter_errors(value)]


def _draft() -> Any:
    from referencing.jsonschema import DRAFT7

    return DRAFT7


def examples(kind: str, sort: str) -> list[Any]:
    """The examples of the specification; one that is skipped where that is missing."""
    if not SPECIFICATION.is_dir():
        return [pytest.param(None, id="missing", marks=needs_schemas)]
    found = sorted((SPECIFICATION / "examples" / kind / sort).glob("*.json"))
    return [pytest.param(json.loads(path.read_text()), id=path.stem) for path in found]


def ask(client: TestClient, queries: Any, **headers: str) -> Any:
    """The results of some queries, by POST; they must fit the schema."""
    answer = client.post("/reconcile", data={"queries": json.dumps(queries)}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers[CORS] == "*"
    assert faults("reconciliation-result-batch", answer.json()) == []
    return answer.json()


def ids(result: Any) -> list[str]:
    return [each["id"] for each in result["result"]]


MINIMAL = {"versions": ["0.2"], "name": "x", "identifierSpace": "http://x.example/", "schemaSpace": "http://x.example/"}
# Examples that are parts of messages, by the whole message that they belong to.
PARTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "data-extension-metadata": ("manifest", lambda part: MINIMAL | {"extend": part}),
    "preview-metadata": ("manifest", lambda part: MINIMAL | {"preview": part}),
    "suggest-metadata": ("manifest", lambda part: MINIMAL | {"suggest": {"entity": part}}),
    "security-scheme": ("manifest", lambda part: MINIMAL | {"authentication": part}),
    "reconciliation-candidate": ("reconciliation-result-batch", lambda part: {"q": {"result": [part]}}),
}
# The schema of manifests refers to Swagger 2.0, and this example is of OpenAPI 3. Our manifest has no authentication.
MISJUDGED = {"http_basic_auth"}
UNSCHEMED = {"flyout-response", "preview-response"}  # HTML, for which there is no schema
KINDS = sorted(path.name for path in (SPECIFICATION / "examples").glob("*")) or ["missing"]


@needs_schemas
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in UNSCHEMED])
def test_every_example_is_told_good_or_bad_by_its_schema(kind: str) -> None:
    """Those that are invalid must be found so, or the checks of our own answers would say nothing."""
    whole, put = PARTS.get(kind, (kind, lambda message: message))
    given = {sort: examples(kind, sort) for sort in ("valid", "invalid")}
    files = list((SPECIFICATION / "examples" / kind).glob("*/*"))
    assert len(files) == sum(map(len, given.values())) > 0
    for sort, wanted in (("valid", False), ("invalid", True)):
        for example in given[sort]:
            found = bool(faults(whole, put(example.values[0])))
            assert found == (wanted or example.id in MISJUDGED), example.id


@needs_schemas
def test_a_flyout_has_the_fields_of_the_example(client: TestClient) -> None:
    (example,) = examples("flyout-response", "valid")
    assert set(client.get("/reconcile/flyout/entity?id=GN").json()) == set(example.values[0])


@needs_schemas
def test_a_preview_is_a_whole_page_as_the_example_is(client: TestClient) -> None:
    example = (SPECIFICATION / "examples/preview-response/example.html").read_text()
    for page in (example, client.get("/reconcile/preview?id=GN").text):
        assert re.search(r"<html.*<head>.*<meta charset=.utf-8.*<body>.*<h1>.*</html>", page, re.DOTALL)


def test_the_manifest_fits_its_schema_and_names_what_there_is(client: TestClient) -> None:
    for path in ("/reconcile", "/reconcile/"):
        answer = client.get(path)
        manifest = answer.json()
        assert answer.headers[CORS] == "*"
        assert faults("manifest", manifest) == []
    assert manifest["versions"] == ["0.2"]
    assert manifest["defaultTypes"][0] == {"id": "country", "name": "country"}
    for kind in ("entity", "type", "property"):
        service = manifest["suggest"][kind]
        assert client.get(service["service_url"] + service["service_path"], params={"prefix": "c"}).status_code == 200
    proposing = manifest["extend"]["propose_properties"]
    assert client.get(proposing["service_url"] + proposing["service_path"]).status_code == 200
    for link in (manifest["preview"]["url"], manifest["view"]["url"]):
        assert client.get(link.replace("{{id}}", "GN")).status_code == 200


def test_the_manifest_names_the_public_address(start: Start) -> None:
    manifest = start(public_url="https://example.org/melder/").get("/reconcile").json()
    assert manifest["suggest"]["entity"]["service_url"] == "https://example.org/melder"
    assert manifest["preview"]["url"] == "https://example.org/melder/reconcile/preview?id={{id}}"


@pytest.mark.parametrize("queries", examples("reconciliation-query-batch", "valid"))
def test_every_valid_example_is_answered(client: TestClient, queries: Any) -> None:
    answer = ask(client, queries)
    assert list(answer) == list(queries)
    by_get = client.get("/reconcile", params={"queries": json.dumps(queries)})
    assert by_get.json() == answer


@pytest.mark.parametrize("queries", examples("reconciliation-query-batch", "invalid"))
def test_every_invalid_example_is_refused(client: TestClient, queries: Any) -> None:
    answer = client.post("/reconcile", data={"queries": json.dumps(queries)})
    assert answer.status_code == 400
    assert answer.headers[CORS] == "*"
    assert list(answer.json()) == ["error"]


def test_results_say_who_what_and_how_sure_best_first(client: TestClient) -> None:
    result = ask(client, {"q": {"query": "guinea", "properties": [{"pid": "context", "v": "Guinea won the toss"}]}})[
        "q"
    ]
    scores = [each["score"] for each in result["result"]]
    assert scores == sorted(scores, reverse=True)
    first = result["result"][0]
    assert (first["id"], first["name"], first["description"]) == ("GN", "Guinea", "A country.")
    assert first["type"] == [{"id": "country", "name": "country"}]
    assert first["match"] is True
    assert first["features"] == [{"id": "words", "value": first["score"]}]
    assert not any(each["match"] for each in result["result"][1:])


def test_context_and_picture_reach_the_linker(client: TestClient, linker: ToyLinker) -> None:
    image = "data:image/png;base64," + base64.b64encode(picture()).decode()
    properties = [
        {"pid": "colour", "v": ["red", 3, True, {"id": "Q1", "name": "large"}]},
        {"pid": "context", "v": "The pig of Guinea"},
        {"pid": "image", "v": image},
    ]
    seen = []
    answers = linker.answers
    linker.answers = lambda mentions, items, k, types: (seen.extend(mentions), answers(mentions, items, k))[1]  # type: ignore[method-assign]
    ask(client, {"q": {"query": "Guinea", "properties": properties}})
    (mention,) = seen
    assert mention.text == "The pig of Guinea red 3 true large"
    assert mention.text[mention.start : mention.end] == "Guinea"
    assert linker.pictures == [picture()]


@pytest.mark.parametrize("query", ["pig", "a/b", "m2"])
def test_an_id_as_the_query_returns_that_entity(client: TestClient, query: str) -> None:
    (only,) = ask(client, {"q": {"query": query}})["q"]["result"]
    assert (only["id"], only["match"], only["score"]) == (query, True, 100)


@pytest.mark.parametrize(("query", "wanted"), [("GUINEA  pig", "pig"), ("Republic of Guinea", "GN"), ("Slash", "a/b")])
def test_an_exact_name_as_the_query_returns_that_entity_first(client: TestClient, query: str, wanted: str) -> None:
    first = ask(client, {"q": {"query": query, "limit": 1}})["q"]["result"][0]
    assert (first["id"], first["match"]) == (wanted, True)


def test_a_name_that_the_linker_passes_over_is_returned_all_the_same(client: TestClient, linker: ToyLinker) -> None:
    linker.answers = lambda mentions, items, k, types: iter([[_only("GW", each) for each in mentions]])  # type: ignore[method-assign]
    bare = ask(client, {"q": {"query": "Guinea"}})["q"]
    assert ids(bare) == ["GN", "GW"]
    told = ask(client, {"q": {"query": "Guinea", "properties": [{"pid": "context", "v": "Bissau"}]}})["q"]
    assert ids(told) == ["GW", "GN"]  # evidence comes before the bare name
    assert not any(each["match"] for each in told["result"])


def _only(identity: str, mention: Any) -> Link:
    candidate = Candidate(id=identity, name=identity, score=2.0)
    return Link(
        id=mention.id, start=None, end=None, surface=mention.surface, nil_probability=0.25, candidates=(candidate,)
    )


def test_a_nil_probability_is_a_feature(client: TestClient, linker: ToyLinker) -> None:
    linker.answers = lambda mentions, items, k, types: iter([[_only("GW", each) for each in mentions]])  # type: ignore[method-assign]
    first = ask(client, {"q": {"query": "Bissau"}})["q"]["result"][0]
    assert {"id": "nil_probability", "value": 0.25} in first["features"]


def test_a_name_that_two_bear_is_no_match(client: TestClient) -> None:
    result = ask(client, {"q": {"query": "Mercury"}})["q"]["result"]
    assert {each["id"] for each in result[:2]} == {"m1", "m2"}
    assert not any(each["match"] for each in result)


@pytest.mark.parametrize(
    ("types", "strict", "wanted"),
    [
        ("country", "any", {"GN", "GW", "PG"}),
        (["country", "island"], "all", {"PG"}),
        (["animal", "island"], "any", {"PG", "pig"}),
        ("nothing", "any", set()),
    ],
)
def test_types_sort_candidates_out(client: TestClient, types: Any, strict: str, wanted: set[str]) -> None:
    result = ask(client, {"q": {"query": "Guinea", "type": types, "type_strict": strict}})["q"]
    assert set(ids(result)) == wanted


def test_types_that_only_should_be_are_features(client: TestClient) -> None:
    result = ask(client, {"q": {"query": "Guinea", "type": "animal", "type_strict": "should"}})["q"]["result"]
    found = {
        each["id"]: feature["value"] for each in result for feature in each["features"] if feature["id"] == "type_match"
    }
    assert (found["pig"], found["GN"]) == (True, False)


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (3.0, 3), (0, 1), (-5, 1), (1e300, 8)])
def test_limits_are_kept_within_reason(client: TestClient, limit: float, count: int) -> None:
    assert len(ask(client, {"q": {"query": "Guinea", "limit": limit}})["q"]["result"]) == count


def test_one_bad_query_does_not_spoil_the_batch(client: TestClient) -> None:
    bad = {"query": "Guinea", "properties": [{"pid": "image", "v": base64.b64encode(b"nonsense").decode()}]}
    answer = ask(client, {"bad": bad, "good": {"query": "Guinea"}})
    assert answer["bad"]["result"] == []
    assert answer["bad"]["error"].startswith("the picture given: not a picture")
    assert ids(answer["good"])[0] == "GN"


def test_an_empty_batch_has_an_empty_answer(client: TestClient) -> None:
    assert ask(client, {}) == {}


def test_an_oversized_batch_is_a_413(client: TestClient) -> None:
    answer = client.post("/reconcile", data={"queries": json.dumps({str(n): {"query": "x"} for n in range(51)})})
    assert (answer.status_code, answer.headers[CORS]) == (413, "*")
    assert answer.json() == {"error": "there are 51 queries; send at most 50 together"}


@pytest.mark.parametrize("path", ["/reconcile?callback=f", "/reconcile?queries={}&callback=f"])
def test_jsonp_is_refused(client: TestClient, path: str) -> None:
    for answer in (client.get(path), client.post(path, data={"queries": "{}"})):
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["error"].startswith("JSONP is not offered")


@pytest.mark.parametrize(
    "fields", [{}, {"query": "Guinea"}, {"queries": "["}, {"queries": "[" * 5_000}, {"queries": "[]"}]
)
def test_a_post_without_queries_is_refused(client: TestClient, fields: dict[str, str]) -> None:
    answer = client.post("/reconcile", data=fields)
    assert (answer.status_code, answer.headers[CORS]) == (400, "*")


def test_errors_of_every_kind_allow_cors(start: Start, source: ToySource) -> None:
    client = start(body=500, queue=1, mentions=1, queries=1)
    source.opened[0].error = RuntimeError("a defect")
    query = {"queries": '{"q": {"query": "Guinea"}}'}
    answers = [
        (404, client.get("/reconcile/nothing")),
        (404, client.get("/reconcile/preview?id=nobody")),
        (405, client.put("/reconcile")),
        (413, client.post("/reconcile", data={"queries": "x" * 600})),
        (422, client.get("/reconcile/flyout/entity")),
        (422, client.get("/reconcile/suggest/entity?cursor=x")),
        (500, client.post("/reconcile", data=query)),
    ]
    assert [answer.status_code for _, answer in answers] == [status for status, _ in answers]
    assert all(answer.headers[CORS] == "*" and list(answer.json()) == ["error"] for _, answer in answers)


def test_a_preflight_is_answered(client: TestClient) -> None:
    headers = {"Origin": "http://127.0.0.1:3333", "Access-Control-Request-Method": "POST"}
    answer = client.options("/reconcile", headers=headers)
    assert (answer.status_code, answer.headers[CORS]) == (204, "*")
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert CORS not in client.options("/link", headers=headers).headers
