"""POST /link without mentions: names of entities are found in the text."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from melder.building.build import build
from melder.data import EntityFile, load
from melder.mentions.dictionary import NameFinder
from melder.records import Entity
from melder.serving import NewEntity
from melder.serving.knowledge_base import KnowledgeBaseSource
from serving.conftest import Start
from serving.toy import ToySource

TEXT = "🏏 The REPUBLIC of Guinea beat Papua New Guinea on Mercury"


def test_names_and_aliases_are_found_with_code_point_offsets(client: TestClient) -> None:
    links = client.post("/link", json={"text": TEXT, "k": 1}).json()["links"]
    assert [each["surface"] for each in links] == ["REPUBLIC of Guinea", "Papua New Guinea", "Mercury"]
    assert [TEXT[each["start"] : each["end"]] for each in links] == [each["surface"] for each in links]
    assert [each["id"] for each in links] == ["0", "1", "2"]
    assert [each["candidates"][0]["id"] for each in links] == ["GN", "PG", "m1"]


def test_an_empty_list_and_a_form_find_mentions_too(client: TestClient) -> None:
    expected = client.post("/link", json={"text": TEXT}).json()
    assert client.post("/link", json={"text": TEXT, "mentions": []}).json() == expected
    assert client.post("/link", files={"text": (None, TEXT)}).json() == expected


def test_a_text_that_names_nothing_has_no_links(client: TestClient) -> None:
    assert client.post("/link", json={"text": "Nothing here"}).json()["links"] == []
    assert client.post("/link", json={"text": ""}).json()["links"] == []


def test_a_text_that_names_too_much_is_refused(start: Start) -> None:
    client = start(mentions=2, queue=50)
    answer = client.post("/link", json={"text": TEXT})
    assert (answer.status_code, answer.json()["error"]) == (413, "there are 3 mentions; send at most 2 together")
    one = {"text": "Guinea and Mercury"}
    answer = client.post("/link/batch", json={"requests": [one, {"text": TEXT}, {"text": "nothing"}]})
    assert [len(each["links"]) for each in answer.json()["results"]] == [2, 0, 0]
    assert client.post("/link/batch", json={"requests": [one, one]}).status_code == 413


def test_names_are_those_of_the_generation_that_answers(client: TestClient, source: ToySource) -> None:
    asked = {"text": "Atlantis sank", "k": 1}
    assert client.post("/link", json=asked).json()["links"] == []
    source.add([NewEntity(Entity(id="AT", name="Atlantis"))])
    client.portal.call(client.app.state.service.current.refresh)  # type: ignore
    assert client.post("/link", json=asked).json()["links"][0]["candidates"][0]["id"] == "AT"


def test_names_are_read_once_although_the_first_who_waits_gives_up(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, made = threading.Event(), list[NameFinder]()

    def reading(names: object, rules: object = ()) -> NameFinder:
        assert go.wait(60)
        made.append(NameFinder(["Guinea"]))
        return made[-1]

    monkeypatch.setattr("melder.mentions.dictionary.NameFinder", reading)
    client = start(deadline=0.1)
    service = client.app.state.service  # type: ignore
    assert client.post("/link", json={"text": TEXT}).status_code == 504
    go.set()
    client.portal.call(lambda: asyncio.wait_for(service.find(TEXT, service.current.served), 10))  # type: ignore
    assert len(made) == 1


def test_a_knowledge_base_on_disk_tells_its_names(small_run: Path, small_data: Path, tmp_path: Path) -> None:
    entities = EntityFile(small_data / "entities.jsonl")
    build(tmp_path / "kb", entities, run=small_run, counting=lambda title, total: lambda done: None)
    served = KnowledgeBaseSource(tmp_path / "kb").open()
    expected = sorted(name for entity in load(small_data).entities for name in entity.names)
    assert sorted(served.catalogue.names()) == expected
    assert served.close is not None
    served.close()
