"""A knowledge base changed over HTTP: who may, what is refused, and that the change is served at once."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from melder.serving import DataSetSource, ServiceSettings, create_application
from serving.conftest import Start
from serving.toy import ToySource, picture

TOKEN = "0123456789abcdef-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
NEW = {"id": "ML", "name": "Mali", "description": "A country.", "types": ["country"]}
LINK = {"text": "Mali", "mentions": [{"start": 0, "end": 4}], "k": 1}


@pytest.fixture
def editing(start: Start) -> TestClient:
    client = start(token=TOKEN)
    client.headers.update(BEARER)
    return client


def best(client: TestClient) -> str:
    return str(client.post("/link", json=LINK).json()["links"][0]["candidates"][0]["id"])


def test_an_entity_is_added_found_replaced_and_removed(editing: TestClient, source: ToySource) -> None:
    image = "data:image/png;base64," + base64.b64encode(picture()).decode()
    added = editing.post("/entities", json=NEW | {"images": [image]})
    assert (added.status_code, added.json()) == (201, {"generation": "000002", "entities": 9})
    assert best(editing) == "ML"
    assert source.pictures["ML"] == (picture(),)
    replaced = editing.put("/entities/ML", json=NEW | {"description": "In Africa."})
    assert (replaced.status_code, replaced.json()) == (200, {"generation": "000003", "entities": 9})
    assert editing.get("/entities/ML").json()["description"] == "In Africa."
    removed = editing.delete("/entities/ML")
    assert (removed.status_code, removed.json()) == (200, {"generation": "000004", "entities": 8})
    assert editing.get("/entities/ML").status_code == 404
    assert best(editing) != "ML"


def test_several_come_in_together(editing: TestClient) -> None:
    both = {"entities": [NEW, NEW | {"id": "ML2"}]}
    assert editing.post("/entities", json=both).json() == {"generation": "000002", "entities": 10}


def test_an_id_may_hold_slashes(editing: TestClient) -> None:
    assert editing.get("/entities/a%2Fb").json()["name"] == "Slash"
    assert editing.delete("/entities/a/b").status_code == 200


@pytest.mark.parametrize(
    "given",
    ["", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer ", "Bearer ÿ".encode("latin-1")],
)
@pytest.mark.parametrize("verb", ["post", "put", "delete"])
def test_nobody_without_the_token_changes_anything(start: Start, source: ToySource, given: Any, verb: str) -> None:
    client = start(token=TOKEN)
    path = "/entities" if verb == "post" else "/entities/GN"
    answer = client.request(verb, path, json=NEW, headers={"Authorization": given})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text
    assert source.number == 1


def test_changes_are_off_without_a_token(client: TestClient, source: ToySource) -> None:
    for answer in (client.post("/entities", json=NEW, headers=BEARER), client.delete("/entities/GN", headers=BEARER)):
        assert answer.status_code == 403
        assert answer.json()["error"] == "changes are off; start the service with --token-file to allow them"
    assert source.number == 1


def test_the_token_is_shown_nowhere(editing: TestClient) -> None:
    assert TOKEN not in repr(ServiceSettings(token=TOKEN))
    assert all(TOKEN not in editing.get(path).text for path in ("/openapi.json", "/metrics", "/readyz"))


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        ({"id": "GN"}, 409, "there is an entity 'GN' already; replace it with PUT /entities/ID"),
        ({"id": ""}, 422, "field 'entities.0.id': "),
        ({"name": "", "description": " "}, 422, "field 'entities.0': name is empty and so is description"),
        ({"images": ["/etc/passwd"]}, 422, "the picture is not base64"),
        ({"images": ["../../secret.png"]}, 422, "the picture is not base64"),
        ({"images": ["http://169.254.169.254/"]}, 403, "this service does not fetch pictures"),
        ({"images": ["AAAA"] * 9}, 413, "'ML' has more than 8 pictures; send fewer"),
        ({"colour": "red"}, 422, "field 'entities.0.colour': is not a field of this format"),
    ],
)
def test_a_change_that_is_wrong_is_refused_whole(
    editing: TestClient, source: ToySource, change: dict[str, Any], status: int, sentence: str
) -> None:
    answer = editing.post("/entities", json={"entities": [NEW | change]})
    assert answer.status_code == status
    assert answer.json()["error"].startswith(sentence)
    assert source.number == 1


def test_what_is_not_there_cannot_be_removed(editing: TestClient) -> None:
    assert editing.delete("/entities/nobody").status_code == 404
    assert editing.put("/entities/one", json=NEW | {"id": "other"}).status_code == 422


def test_the_same_id_twice_and_too_many_are_refused(editing: TestClient) -> None:
    assert editing.post("/entities", json={"entities": [NEW, NEW]}).status_code == 409
    many = {"entities": [NEW | {"id": str(number)} for number in range(101)]}
    assert editing.post("/entities", json=many).status_code == 413


def test_of_several_who_add_the_same_one_has_and_the_others_are_told_why(editing: TestClient) -> None:
    def at_once(method: str, path: str, body: dict[str, Any] | None = None) -> list[tuple[int, str]]:
        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(editing.request, method, path, json=body) for _ in range(4)]
        return sorted((call.result().status_code, call.result().json().get("error", "")) for call in calls)

    taken = (409, "there is an entity 'ML' already; replace it with PUT /entities/ID")
    assert at_once("POST", "/entities", NEW) == [(201, ""), taken, taken, taken]
    gone = (404, "there is no entity 'ML'")
    assert at_once("DELETE", "/entities/ML") == [(200, ""), gone, gone, gone]
    assert at_once("PUT", "/entities/ML", NEW) == [(200, "")] * 4


@pytest.mark.parametrize(
    ("field", "content"),
    [
        ("id", "i" * 1_001),
        ("name", "n" * 1_001),
        ("name", "\ufdfa" * 100),
        ("aliases", ["a", "a" * 1_001]),
        ("types", ["t" * 1_001]),
        ("labels", {"de": "n" * 1_001}),
        ("description", "d" * 20_001),
    ],
)
def test_what_is_longer_than_any_name_is_refused(editing: TestClient, field: str, content: object) -> None:
    answer = editing.post("/entities", json=NEW | {field: content})
    assert answer.status_code == 413
    assert answer.json()["error"].startswith(f"field '{field}': has more than ")


def test_a_data_set_cannot_be_changed_and_says_what_can(small_run: Path, small_data: Path) -> None:
    source = DataSetSource(small_run, small_data)
    with TestClient(create_application(source, source.open(), ServiceSettings(token=TOKEN))) as client:
        answer = client.post("/entities", json=NEW, headers=BEARER)
        assert (answer.status_code, answer.json()["error"].split(",")[0]) == (
            501,
            "only a knowledge base can be changed here",
        )
        record = client.get("/entities/Q0").json()
        assert (record["name"], record["images"]) == ("Red kite", [])
        shown = client.get("/entities/Q0/picture")
        assert shown.headers["content-type"] == "image/jpeg"
        assert shown.content[:2] == b"\xff\xd8"
        assert client.get("/entities/nobody/picture").status_code == 404
        assert "data:image/jpeg;base64," in client.get("/reconcile/preview?id=Q0").text


def test_an_entity_without_a_picture_has_none_to_show(client: TestClient) -> None:
    answer = client.get("/entities/GN/picture")
    assert (answer.status_code, answer.json()["error"]) == (404, "'GN' has no picture")


IDS = ("obj/12/picture", "picture", "a/picture", "50%", "http://example.org/entity/Q90", "a b?c#d")


@pytest.mark.parametrize("identity", IDS)
def test_every_id_has_an_address(editing: TestClient, identity: str) -> None:
    address = f"/entities/{quote(identity, safe='')}"
    assert editing.put(address, json=NEW | {"id": identity}).status_code == 200
    assert editing.get(address).json()["id"] == identity
    assert editing.get(f"{address}/picture").json()["error"] == f"{identity!r} has no picture"
    assert editing.delete(address).status_code == 200
    assert editing.get(address).status_code == 404


@pytest.mark.parametrize("verb", ["put", "delete", "post", "options"])
def test_a_picture_is_only_looked_at(editing: TestClient, verb: str) -> None:
    answer = editing.request(verb, "/entities/GN/picture", json=NEW)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("identity", ["GN", "a%2Fb", "nobody"])
def test_what_an_address_takes_is_said_in_full(client: TestClient, identity: str) -> None:
    answer = client.options(f"/entities/{identity}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, PUT")
    assert client.put("/entities").headers["allow"] == "POST"
    assert client.get("/link").headers["allow"] == "POST"


def test_no_body_is_read_of_whoever_may_not_change_anything(start: Start) -> None:
    client = start(token=TOKEN)
    assert client.post("/entities", content=b"{" * 100_000).status_code == 401
    assert client.put("/entities/GN", content=b"no JSON").status_code == 401


LESSON = {"text": "They met in Bissau", "start": 12, "end": 18}


def test_mentions_are_learned_and_forgotten(editing: TestClient, source: ToySource) -> None:
    image = base64.b64encode(picture()).decode()
    answer = editing.post("/entities/GW/exemplars", json=LESSON | {"image": image})
    assert (answer.status_code, answer.json()) == (201, {"generation": "000002", "entities": 8})
    (lesson,) = source.learned["GW"]
    assert (lesson.mention.surface, lesson.picture) == ("Bissau", picture())
    several = {"exemplars": [LESSON, {"text": "We flew to Bissau.", "start": 11, "end": 17}]}
    assert editing.post("/entities/GW/exemplars", json=several).json()["generation"] == "000003"
    assert [each.mention.surface for each in source.learned["GW"]] == ["Bissau"] * 3
    assert editing.delete("/entities/GW/exemplars").json()["generation"] == "000004"
    assert source.learned == {}
    assert editing.post("/entities/a%2Fb/exemplars", json=LESSON).status_code == 201
    assert list(source.learned) == ["a/b"]


@pytest.mark.parametrize(
    ("path", "lesson", "status", "message"),
    [
        ("XX", LESSON, 404, "there is no entity 'XX'"),
        ("GW", LESSON | {"end": 99}, 422, "field 'exemplars.0': [12, 99) covers no words"),
        ("GW", LESSON | {"start": 4, "end": 5, "text": "They met"}, 422, "covers no words"),
        ("GW", LESSON | {"image": "no picture"}, 422, ""),
        ("GW", LESSON | {"surface": "Bissau"}, 422, "surface"),
        ("GW", {"exemplars": []}, 422, "exemplars"),
        ("GW", {"text": "Red star", "start": 0, "end": 3, "language": "??"}, 422, "language"),
        ("GW", {"exemplars": [LESSON] * 101}, 413, "send at most 100 together"),
        ("GW", LESSON | {"text": "Bissau " * 9000, "start": 0, "end": 6}, 413, "characters"),
    ],
)
def test_what_cannot_be_learned_is_refused(
    editing: TestClient, source: ToySource, path: str, lesson: dict[str, Any], status: int, message: str
) -> None:
    answer = editing.post(f"/entities/{path}/exemplars", json=lesson)
    assert answer.status_code == status
    assert message in answer.text
    assert source.learned == {}


@pytest.mark.parametrize("verb", ["post", "delete"])
def test_nobody_without_the_token_teaches_anything(start: Start, source: ToySource, verb: str) -> None:
    for client, status in ((start(token=TOKEN), 401), (start(), 403)):
        assert client.request(verb, "/entities/GW/exemplars", json=LESSON).status_code == status
    assert source.learned == {}
