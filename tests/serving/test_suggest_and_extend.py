"""The rest of the Reconciliation API: suggestions, flyouts, previews, values of properties."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving.conftest import Start
from serving.test_reconcile import CORS, examples, faults, ids


def get(client: TestClient, path: str, kind: str, **fields: Any) -> Any:
    answer = client.get(path, params=fields)
    assert answer.status_code == 200
    assert answer.headers[CORS] == "*"
    assert faults(kind, answer.json()) == []
    return answer.json()


@pytest.mark.parametrize(
    ("prefix", "wanted"),
    [
        ("gui", ["GN", "pig", "GW", "PG"]),
        ("GUINEA p", ["pig"]),
        ("new gu", ["PG"]),
        ("m2", ["m2"]),
        ("zz", []),
        ("%", []),
    ],
)
def test_entities_are_suggested_by_the_start_of_a_word_or_by_id(
    client: TestClient, prefix: str, wanted: list[str]
) -> None:
    assert ids(get(client, "/reconcile/suggest/entity", "suggest-entities-response", prefix=prefix)) == wanted


def test_suggestions_come_in_pages(start: Start) -> None:
    client = start(suggestions=2)
    pages = [
        ids(get(client, "/reconcile/suggest/entity", "suggest-entities-response", prefix="g", cursor=cursor))
        for cursor in (0, 2, 4)
    ]
    assert pages == [["GN", "pig"], ["GW", "PG"], []]


def test_types_and_properties_are_suggested(client: TestClient) -> None:
    types = get(client, "/reconcile/suggest/type", "suggest-types-response", prefix="c")
    assert types == {"result": [{"id": "country", "name": "country"}]}
    found = get(client, "/reconcile/suggest/property", "suggest-properties-response", prefix="")
    assert ids(found) == ["context", "image", "name", "aliases", "description", "types"]
    assert ids(get(client, "/reconcile/suggest/property", "suggest-properties-response", prefix="pict")) == ["image"]


class Markup(HTMLParser):
    """Collects the tags, their attributes and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_knowledge_base_full_of_html_shows_as_text(client: TestClient) -> None:
    preview = client.get("/reconcile/preview", params={"id": "x"})
    assert preview.headers["content-type"].startswith("text/html")
    pages = [preview.text, client.get("/reconcile/flyout/entity", params={"id": "x"}).json()["html"]]
    pages.append(client.get("/reconcile/flyout/type", params={"id": "<b>bold</b>"}).json()["html"])
    for page in map(Markup, pages):
        assert not {"script", "img", "b"} & set(page.tags)
        assert not [each for each in page.attributes if each.startswith("on")]
    assert "<script>alert(1)</script>" in Markup(pages[0]).text
    assert '"><img src=x onerror=alert(1)>' in Markup(pages[0]).text


def test_a_preview_may_stand_in_a_frame_and_loads_nothing_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/reconcile/preview?id=GN")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors *" in policy
    assert "unsafe" not in policy
    assert "x-frame-options" not in answer.headers
    style = client.get("/reconcile/preview.css")
    assert style.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize("kind", ["entity", "type", "property"])
def test_a_flyout_of_nothing_is_a_404(client: TestClient, kind: str) -> None:
    answer = client.get(f"/reconcile/flyout/{kind}", params={"id": "nobody"})
    assert (answer.status_code, answer.json()["error"]) == (404, f"there is no {kind} 'nobody'")


def test_a_flyout_names_its_id_and_brings_html(client: TestClient) -> None:
    answer = client.get("/reconcile/flyout/entity?id=GN").json()
    assert answer == {"id": "GN", "html": "<p><strong>Guinea</strong></p><p>A country.</p><p>country</p>"}
    assert client.get("/reconcile/flyout/property?id=image").json()["id"] == "image"


def test_properties_are_fetched_for_ids(client: TestClient) -> None:
    wish = {"ids": ["GW", "nobody"], "properties": [{"id": "types", "settings": {"limit": 1}}, {"id": "description"}]}
    by_post = client.post("/reconcile", data={"extend": json.dumps(wish)})
    assert by_post.json() == client.get("/reconcile", params={"extend": json.dumps(wish)}).json()
    assert faults("data-extension-response", by_post.json()) == []
    assert by_post.json() == {
        "meta": [{"id": "types", "name": "types"}, {"id": "description", "name": "description"}],
        "rows": {
            "GW": {"types": [{"str": "country"}], "description": [{"str": "Another country."}]},
            "nobody": {"types": [], "description": []},
        },
    }


@pytest.mark.parametrize("wish", examples("data-extension-query", "valid"))
def test_every_example_of_an_extension_is_understood(client: TestClient, wish: Any) -> None:
    """Its properties are another service's, and that is all that is wrong with it."""
    answer = client.post("/reconcile", data={"extend": json.dumps(wish)})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("there is no property 'variantName' of entities; ask for one of name, ")
    ours = wish | {"properties": [each | {"id": "name"} for each in wish["properties"]]}
    answer = client.post("/reconcile", data={"extend": json.dumps(ours)})
    assert answer.status_code == 200
    assert faults("data-extension-response", answer.json()) == []


@pytest.mark.parametrize("wish", ["[", "{}", '{"ids": [], "properties": [{}]}', '{"ids": 3, "properties": []}'])
def test_an_extension_that_is_none_is_refused(client: TestClient, wish: str) -> None:
    assert client.post("/reconcile", data={"extend": wish}).status_code == 400


def test_too_many_ids_are_a_413(client: TestClient) -> None:
    wish = {"ids": [str(number) for number in range(201)], "properties": []}
    assert client.post("/reconcile", data={"extend": json.dumps(wish)}).status_code == 413


def test_properties_are_proposed(client: TestClient) -> None:
    found = get(client, "/reconcile/extend/propose", "data-extension-property-proposal", type="country", limit=2)
    assert found["type"] == "country"
    assert [each["id"] for each in found["properties"]] == ["name", "aliases"]
