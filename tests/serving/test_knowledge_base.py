"""A knowledge base on disk: served, changed over HTTP and by another process."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import melder
from kb.made import build as build_without_model
from kb.made import entity
from melder.data import EntityFile
from melder.kb import KnowledgeBase
from melder.linking.kb_build import build, remove_entities
from melder.records import Link
from melder.serving import Settings, create_application
from melder.serving.knowledge_base import KnowledgeBaseCatalogue, KnowledgeBaseSource
from serving.test_entities import BEARER, TOKEN

TEXT = "A red kite was seen"
ASKED = {"text": TEXT, "mentions": [{"start": 2, "end": 10}], "k": 3}


@pytest.fixture
def directory(small_run: Path, small_data: Path, tmp_path: Path) -> Path:
    source = EntityFile(small_data / "entities.jsonl")
    build(tmp_path / "kb", source, run=small_run, counting=lambda title, total: lambda done: None)
    return tmp_path / "kb"


@pytest.fixture
def client(directory: Path) -> Iterator[TestClient]:
    source = KnowledgeBaseSource(directory)
    app = create_application(source, source.open(), Settings(poll=0.02, token=TOKEN))
    with TestClient(app, headers=BEARER) as client:
        yield client


def test_a_knowledge_base_is_served(client: TestClient, directory: Path, small_data: Path) -> None:
    body = client.post("/link", json=ASKED).json()
    expected = melder.load(directory).link(TEXT, 3, mention="red kite")
    assert isinstance(expected, Link)
    assert body["generation"] == "000001"
    assert [each["id"] for each in body["links"][0]["candidates"]] == [each.id for each in expected.candidates]
    assert client.get("/entities/Q0/picture").content[:2] == b"\xff\xd8"
    suggested = client.get("/reconcile/suggest/entity?prefix=kit").json()["result"]
    assert {each["id"] for each in suggested} == {"Q0", "Q3", "Q6", "Q9"}
    named = client.get("/reconcile", params={"queries": '{"q": {"query": "RED  kite"}}'}).json()["q"]["result"][0]
    assert (named["id"], named["match"]) == ("Q0", True)


def test_a_change_over_http_is_served_at_once(client: TestClient, small_data: Path) -> None:
    image = base64.b64encode((small_data / "images/0.png").read_bytes()).decode()
    new = {"id": "N", "name": "Red kite", "description": "A kite with red fur.", "types": ["bird"], "images": [image]}
    added = client.post("/entities", json=new)
    assert (added.status_code, added.json()) == (201, {"generation": "000002", "entities": 13})
    candidates = client.post("/link", json=ASKED).json()["links"][0]["candidates"]
    assert {"N", "Q0"} == {each["id"] for each in candidates[:2]}
    assert client.get("/entities/N/picture").status_code == 200
    assert client.put("/entities/N", json=new | {"name": "Blue whale", "images": []}).json()["entities"] == 13
    assert client.get("/reconcile").json()["defaultTypes"] == [{"id": "bird", "name": "bird"}]
    assert client.delete("/entities/N").json() == {"generation": "000004", "entities": 12}
    assert client.get("/entities/N").status_code == 404


def test_a_change_by_another_process_is_picked_up(client: TestClient, directory: Path) -> None:
    remove_entities(directory, ["Q0"])
    until = time.monotonic() + 10
    while client.get("/readyz").json()["generation"] != "000002":
        assert time.monotonic() < until
        time.sleep(0.02)
    answer = client.post("/link", json=ASKED).json()
    assert "Q0" not in {each["id"] for each in answer["links"][0]["candidates"]}


def test_exact_names_come_first(tmp_path: Path) -> None:
    alike = [entity(f"Q{n}", "Red kite red kite") for n in range(120)]
    many = entity("M", "Milvus", [*(f"other {n}" for n in range(300)), "Red kite"])
    build_without_model(tmp_path / "kb", [*alike, many])
    with KnowledgeBase.open(tmp_path / "kb") as base:
        catalogue = KnowledgeBaseCatalogue(base)
        assert [each.id for each in catalogue.named("RED  kite")] == ["M"]
        first = [each.id for each in catalogue.starting("red kite", 3)]
        assert (first[0], len(set(first))) == ("M", 3)
        assert len(catalogue.starting("red kite", 1)) == 1
