"""The API's description says what the service does: bodies, content types, limits."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from serving.toy import picture

SPAN = {"start": 0, "end": 6}
IMAGE = base64.b64encode(picture()).decode()
LINK: dict[str, Any] = {"text": "Guinea won", "mentions": [SPAN]}


@pytest.fixture
def description(client: TestClient) -> Any:
    return client.get("/openapi.json").json()


def validator(description: Any, path: str, kind: str = "application/json") -> Draft202012Validator:
    schema = description["paths"][path]["post"]["requestBody"]["content"][kind]["schema"]
    return Draft202012Validator({"components": description["components"], **schema})


@pytest.mark.parametrize(
    ("path", "body", "good"),
    [
        ("/link", LINK, True),
        ("/link", LINK | {"image": IMAGE, "k": 3, "types": ["country"]}, True),
        ("/link", LINK | {"mentions": [{"start": 0, "end": False}]}, False),
        ("/link", LINK | {"mentions": [{"start": 0, "end": "6"}]}, False),
        ("/link", LINK | {"k": True}, False),
        ("/link", {"mentions": [SPAN]}, False),
        ("/explain", LINK, True),
        ("/explain", LINK | {"mentions": []}, False),
        ("/explain", LINK | {"mentions": [SPAN, SPAN]}, False),
        ("/explain", {"text": "Guinea won"}, False),
        ("/link/batch", {"requests": [LINK]}, True),
        ("/link/batch", {"requests": []}, False),
        ("/entities", {"id": "a", "name": "b"}, True),
        ("/entities", {"entities": [{"id": "a", "name": "b"}]}, True),
        ("/entities", {"entities": []}, False),
        ("/entities", {"name": "b"}, False),
    ],
)
def test_a_body_is_good_for_the_schema_and_for_the_service(
    client: TestClient, description: Any, path: str, body: Any, good: bool
) -> None:
    assert validator(description, path).is_valid(body) == good
    if path != "/entities":  # which answers 403 here, whatever the body
        assert (client.post(path, json=body).status_code != 422) == good


@pytest.mark.parametrize(("fields", "good"), [({"queries": "{}"}, True), ({"extend": "x"}, True), ({}, False)])
def test_a_form_of_reconciliation_needs_one_of_its_fields(description: Any, fields: dict[str, str], good: bool) -> None:
    schema = validator(description, "/reconcile", "application/x-www-form-urlencoded")
    assert schema.is_valid(fields) == good


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/metrics", 200),
        ("/reconcile/preview?id=GN", 200),
        ("/reconcile/preview?id=nobody", 404),
        ("/entities/GN/picture", 404),
        ("/entities/nobody", 404),
        ("/reconcile", 200),
        ("/reconcile?queries=[", 400),
        ("/reconcile/suggest/entity?cursor=x", 422),
        ("/reconcile/flyout/type?id=nothing", 404),
        ("/healthz", 200),
    ],
)
def test_content_types_are_those_described(client: TestClient, description: Any, path: str, status: int) -> None:
    answer = client.get(path)
    name = path.partition("?")[0].replace("GN", "{identity}").replace("nobody", "{identity}")
    responses = description["paths"][name]["get"]["responses"]
    assert answer.status_code == status
    assert answer.headers["content-type"].partition(";")[0] in responses[str(status)]["content"]


def test_nif_takes_and_gives_turtle(client: TestClient, description: Any) -> None:
    described = description["paths"]["/nif"]["post"]
    assert list(described["requestBody"]["content"]) == ["text/turtle"]
    assert list(described["responses"]["200"]["content"]) == ["text/turtle"]
    assert list(described["responses"]["400"]["content"]) == ["application/json"]


def test_every_refusal_is_described_as_what_it_is(description: Any) -> None:
    assert "HTTPValidationError" not in json.dumps(description)
    for path, verbs in description["paths"].items():
        for verb, described in verbs.items():
            for status, response in described["responses"].items():
                if int(status) >= 400:
                    schema = response["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Refused"}, (path, verb, status)
