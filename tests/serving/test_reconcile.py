"""The Reconciliation API 0.2: every answer, and every example that the specification gives, against its schemas.

The schemas and examples are read from the directory that RECONCILIATION_SPECIFICATION names, or from
../shared/specs/reconciliation-0.2 beside the repository.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from starlette.testclient import TestClient

from melder.records import Candidate, Entity, Link
from melder.serving import ServiceSettings, create_application
from melder.serving.reconcile.queries import ReconciliationQuery, mention_of, read_queries
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
    assert manifest["batchSize"] == 50
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
    assert manifest["identifierSpace"] == "https://example.org/melder/entities/"


def test_an_address_that_may_change_is_noted_once(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    for public, notes in ((None, 1), ("https://example.org", 0)):
        caplog.clear()
        client = start(public_url=public)
        assert {client.get("/reconcile").status_code for _ in range(3)} == {200}
        assert sum("--public-url" in record.message for record in caplog.records) == notes


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "127.0.0.1:3000", "localhost:8000", "melder.local"])
def test_without_a_public_address_ids_do_not_depend_on_the_port(client: TestClient, host: str) -> None:
    manifest = client.get("/reconcile", headers={"Host": host}).json()
    assert (manifest["identifierSpace"], manifest["schemaSpace"]) == ("urn:melder:toys:", "urn:melder:properties:")
    assert manifest["preview"]["url"].startswith(f"http://{host}/")


@pytest.mark.parametrize("queries", examples("reconciliation-query-batch", "valid"))
def test_every_valid_example_is_answered(client: TestClient, queries: Any) -> None:
    answer = ask(client, queries)
    assert list(answer) == list(queries)
    by_get = client.get("/reconcile", params={"queries": json.dumps(queries)})
    assert by_get.json() == answer


@pytest.mark.parametrize(
    "queries", [each for each in examples("reconciliation-query-batch", "invalid") if each.id != "misnamed-property"]
)
def test_every_invalid_example_is_refused(client: TestClient, queries: Any) -> None:
    """But for a key that there is not, which is passed over, as other services do."""
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


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (1.9, 1), (3.0, 3), (0, 0), (-5, 0), (1e300, 8)])
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


def should(query: str, kind: str | list[str], **more: Any) -> dict[str, Any]:
    """A query as OpenRefine sends it."""
    return {"query": query, "type": kind, "type_strict": "should", **more}


@pytest.mark.parametrize(
    ("query", "first", "match"),
    [
        (should("Guinea", "animal"), "pig", False),  # the country is of that name, the animal of that type
        (should("Guinea", "country"), "GN", True),
        (should("Guinea pig", "animal"), "pig", True),
        (should("Guinea pig", "country"), "GN", False),
        (should("Guinea-Bissau", ["animal", "republic"]), "GW", True),
        (should("Guinea", "nothing"), "GN", False),
        (should("Guinea", ""), "GN", True),  # no type
        (should("Guinea", "animal", properties=[{"pid": "context", "v": "Guinea won"}]), "pig", False),
    ],
)
def test_a_type_that_should_be_comes_first_and_another_is_no_match(
    client: TestClient, query: dict[str, Any], first: str, match: bool
) -> None:
    result = ask(client, {"q": query})["q"]["result"]
    assert (result[0]["id"], result[0]["match"]) == (first, match)
    assert not any(candidate["match"] for candidate in result[1:])
    scores = [candidate["score"] for candidate in result]
    assert scores == sorted(scores, reverse=True)  # clients sort by it


NAMESAKES = (
    Entity(id="c", name="Guinea", types=("country",)),
    Entity(id="m", name="Guinea", types=("coin",)),
    Entity(id="1917", name="Casablanca", types=("film",)),
    Entity(id="42", name="1917", types=("film",)),
    Entity(id="7", name="Seven", types=("number",)),
    Entity(id="1984", name="Nineteen Eighty-Four", types=("book",)),
    Entity(id="b", name="1984", types=("film",)),
    Entity(id="http://www.wikidata.org/entity/Q90", name="Paris", types=("city",)),
    Entity(id="obj/12/picture", name="A picture of an object"),
)


@pytest.fixture
def namesakes() -> Iterator[TestClient]:
    source = ToySource(NAMESAKES)
    with TestClient(create_application(source, source.open(), ServiceSettings(wait=0.0))) as client:
        yield client


@pytest.mark.parametrize(("kind", "wanted"), [("country", "c"), ("coin", "m"), (["coin", "film"], "m"), ("city", None)])
def test_a_type_settles_namesakes(namesakes: TestClient, kind: Any, wanted: str | None) -> None:
    result = ask(namesakes, {"q": should("Guinea", kind)})["q"]["result"]
    assert [candidate["id"] for candidate in result if candidate["match"]] == ([wanted] if wanted else [])
    if wanted:
        assert result[0]["id"] == wanted
    assert not any(candidate["match"] for candidate in ask(namesakes, {"q": {"query": "Guinea"}})["q"]["result"])


@pytest.mark.parametrize(
    ("query", "both", "match"),
    [
        ({"query": "1917"}, {"1917", "42"}, None),
        ({"query": 1917}, {"1917", "42"}, None),
        ({"query": "1917", "type": "film"}, {"1917", "42"}, None),
        ({"query": "1917", "type": "city"}, set(), None),
        ({"query": "1984", "type": "book", "type_strict": "any"}, {"1984"}, "1984"),
        (should("1984", "film"), {"1984", "b"}, "b"),
        (should("1984", "book"), {"1984", "b"}, "1984"),
        ({"query": "7"}, {"7"}, "7"),
        ({"query": 7.0}, {"7"}, "7"),
    ],
)
def test_an_id_that_is_a_name_too_offers_both(
    namesakes: TestClient, query: dict[str, Any], both: set[str], match: str | None
) -> None:
    result = ask(namesakes, {"q": query})["q"]["result"]
    assert both <= {candidate["id"] for candidate in result}
    assert [candidate["id"] for candidate in result if candidate["match"]] == ([match] if match else [])
    if query.get("type_strict") != "should" and "type" in query:
        assert all({"id": query["type"], "name": query["type"]} in candidate["type"] for candidate in result)


@pytest.mark.parametrize(
    "odd",
    [
        {"type": None},
        {"limit": None},
        {"type_strict": None},
        {"properties": None},
        {"properties": [{"pid": "context", "v": None}]},
        {"properties": [{"pid": "context", "v": [None, "won"]}]},
        {"colour": "red", "lang": "en"},
        {"type": []},
        {"type": [None]},
    ],
)
def test_null_is_absent_and_unknown_keys_are_passed_over(client: TestClient, odd: dict[str, Any]) -> None:
    answer = ask(client, {"odd": {"query": "Guinea"} | odd, "plain": {"query": "Guinea"}})
    assert ids(answer["odd"])[0] == "GN"
    assert "error" not in answer["odd"]


@pytest.mark.parametrize(
    "odd",
    [
        {"type": {"id": "country", "name": "Country"}},
        {"type": [{"id": "country"}, None]},
        {"type": "country", "type_strict": "SHOULD"},
        {"properties": {"pid": "context", "v": "won"}},
        {"properties": [None, {"p": "context", "v": "won"}]},
        {"properties": [{"pid": "context", "v": {"str": "won"}}, {"pid": "x", "v": [{"date": "1958"}, {"int": 3}]}]},
        {"properties": [{"pid": "x", "v": {"name": "Africa"}}]},
        {"limit": "3"},
    ],
)
def test_what_other_clients_write_is_understood(client: TestClient, odd: dict[str, Any]) -> None:
    answer = ask(client, {"odd": {"query": "Guinea"} | odd})
    assert ids(answer["odd"])[0] == "GN"


def test_values_of_an_extension_are_read_as_texts() -> None:
    content = {"q": {"query": "Guinea", "properties": [{"p": "x", "v": [{"str": "in 1958"}, {"int": 3}]}]}}
    query = read_queries(json.dumps(content), ServiceSettings())["q"]
    assert isinstance(query, ReconciliationQuery)
    assert mention_of(query).text == "in 1958 3"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"query": {}}, "field 'query': "),
        ({"query": True}, "field 'query': "),
        ({"query": "x", "limit": "many"}, "field 'limit': "),
        ({"query": "x", "type_strict": "perhaps"}, "field 'type_strict': must be 'any', 'should' or 'all'"),
        ({"query": "x", "properties": [{"v": 1}]}, "field 'properties.0.pid': is missing; add it"),
        ({"query": "x", "properties": [{"pid": "p", "v": [[]]}]}, "field 'properties.0.v.0."),
        ({"query": None}, "the request needs 'query' or at least one of 'properties'"),
        ([], "the request is not a JSON object but []"),
        (3, "the request is not a JSON object but 3"),
    ],
)
def test_a_mistake_is_answered_for_that_query_alone(client: TestClient, wrong: Any, sentence: str) -> None:
    answer = ask(client, {"wrong": wrong, "good": {"query": "Guinea"}})
    assert answer["wrong"]["result"] == []
    assert answer["wrong"]["error"].startswith(sentence)
    assert ids(answer["good"])[0] == "GN"


@pytest.mark.parametrize(
    "query", ["Q90", "https://www.wikidata.org/wiki/Q90", "wd:Q90", "http://www.wikidata.org/entity/Q90"]
)
def test_the_forms_of_an_id_find_its_entity(namesakes: TestClient, query: str) -> None:
    (only,) = ask(namesakes, {"q": {"query": query}})["q"]["result"]
    assert (only["id"], only["match"]) == ("http://www.wikidata.org/entity/Q90", True)


@pytest.mark.parametrize(
    "query", ["http://testserver/entities/GN", "urn:melder:toys:GN", "https://testserver/entities/GN"]
)
def test_our_own_addresses_find_their_entities(client: TestClient, query: str) -> None:
    (only,) = ask(client, {"q": {"query": query}})["q"]["result"]
    assert (only["id"], only["match"]) == ("GN", True)


@pytest.mark.parametrize("name", ["a.png", "sub/b.png", "sub/../a.png"])
def test_a_picture_may_be_named_where_a_directory_is(
    start: Start, source: ToySource, tmp_path: Path, name: str
) -> None:
    (tmp_path / "pictures/sub").mkdir(parents=True)
    for file in ("a.png", "sub/b.png"):
        (tmp_path / "pictures" / file).write_bytes(picture())
    client = start(picture_dir=tmp_path / "pictures")
    query = {"query": "Guinea", "properties": [{"pid": "image", "v": name}]}
    assert "error" not in ask(client, {"q": query})["q"]
    assert source.opened[-1].pictures == [picture()]


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "sub", "link.png", "missing.png", "a.png\0", "."])
def test_no_picture_outside_the_directory_is_read(start: Start, tmp_path: Path, name: str) -> None:
    (tmp_path / "pictures/sub").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(picture())
    (tmp_path / "pictures/link.png").symlink_to(tmp_path / "secret.png")
    client = start(picture_dir=tmp_path / "pictures")
    bad = {"query": "Guinea", "properties": [{"pid": "image", "v": name}]}
    answer = ask(client, {"bad": bad, "good": {"query": "Guinea"}})["bad"]
    assert answer["result"] == []
    assert answer["error"].startswith("the picture is not base64") or "not a picture" in answer["error"]


def test_without_a_directory_names_are_no_pictures(client: TestClient) -> None:
    bad = {"query": "Guinea", "properties": [{"pid": "image", "v": "a.png"}]}
    answer = ask(client, {"bad": bad, "good": {"query": "Guinea"}})
    assert answer["bad"]["error"].startswith("the picture is not base64")
