"""What reads the disk does so in threads, and a generation stays open as long as one of them reads it."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.testclient import TestClient

from melder.records import Entity
from melder.serving import DataSetCatalogue, NewEntity
from serving.conftest import Start
from serving.test_entities import BEARER, NEW, TOKEN
from serving.toy import ToySource, picture

VERBS = ("entity", "named", "starting", "picture", "names")
EXTEND = json.dumps({"ids": ["GN"], "properties": [{"id": "name"}]})
ASKED = {
    "entity": ("entity", "/entities/GN"),
    "picture": ("picture", "/entities/GN/picture"),
    "suggestion by id": ("entity", "/reconcile/suggest/entity?prefix=GN"),
    "suggestion by name": ("starting", "/reconcile/suggest/entity?prefix=gui"),
    "flyout": ("entity", "/reconcile/flyout/entity?id=GN"),
    "preview": ("picture", "/reconcile/preview?id=GN"),
    "query by id": ("entity", '/reconcile?queries={"q":{"query":"GN"}}'),
    "query by name": ("named", '/reconcile?queries={"q":{"query":"Guinea"}}'),
    "extension": ("entity", f"/reconcile?extend={EXTEND}"),
}


def reading(monkeypatch: pytest.MonkeyPatch, told: list[tuple[str, bool]]) -> None:
    """Note each verb of the catalogue that is called, and whether it was on the event loop."""
    for verb in VERBS:

        def noted(
            self: object, *given: object, verb: str = verb, real: object = getattr(DataSetCatalogue, verb)
        ) -> object:
            told.append((verb, asyncio._get_running_loop() is not None))
            return real(self, *given)  # type: ignore[operator]

        monkeypatch.setattr(DataSetCatalogue, verb, noted)


@pytest.mark.parametrize(("verb", "path"), ASKED.values(), ids=ASKED)
def test_the_event_loop_never_waits_for_the_disk(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, verb: str, path: str
) -> None:
    told = list[tuple[str, bool]]()
    reading(monkeypatch, told)
    client.get(path)
    assert verb in {name for name, _ in told}
    assert not [name for name, on_loop in told if on_loop]


def test_changes_and_found_mentions_do_not_hold_the_event_loop_either(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[tuple[str, bool]]()
    reading(monkeypatch, told)
    client = start(token=TOKEN)
    assert client.post("/link", json={"text": "Guinea"}).status_code == 200
    assert client.post("/entities", json=NEW, headers=BEARER).status_code == 201
    assert client.put("/entities/ML", json=NEW, headers=BEARER).status_code == 200
    assert client.delete("/entities/ML", headers=BEARER).status_code == 200
    assert {"names", "entity"} <= {name for name, _ in told}
    assert not [name for name, on_loop in told if on_loop]


@pytest.mark.parametrize("path", ["/entities/GN/picture", "/reconcile/preview?id=GN"])
def test_a_generation_is_not_closed_under_who_reads_it(
    client: TestClient, source: ToySource, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    begun, go = threading.Event(), threading.Event()
    open_then = list[bool]()

    def slow(self: DataSetCatalogue, entity: Entity) -> bytes:
        begun.set()
        assert go.wait(60)
        gc.collect()
        open_then.append(source.closed == [])
        return picture()

    monkeypatch.setattr(DataSetCatalogue, "picture", slow)
    with ThreadPoolExecutor(1) as other:
        answer = other.submit(client.get, path)
        assert begun.wait(60)
        source.add([NewEntity(Entity(id="new", name="New"))])
        client.portal.call(client.app.state.service.current.refresh)  # type: ignore
        go.set()
        assert answer.result().status_code == 200
    assert open_then == [True]
    until = time.monotonic() + 120
    while source.closed != ["000001"]:  # closed once nobody reads it
        assert time.monotonic() < until
        gc.collect()
        time.sleep(0.01)


def test_names_are_read_from_a_generation_that_stays_open(
    client: TestClient, source: ToySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(self: DataSetCatalogue) -> object:
        begun.set()
        assert go.wait(60)
        gc.collect()
        yield "Guinea" if source.closed == [] else "closed"

    monkeypatch.setattr(DataSetCatalogue, "names", slow)
    with ThreadPoolExecutor(1) as other:
        answer = other.submit(client.post, "/link", json={"text": "Guinea"})
        assert begun.wait(60)
        source.number += 1
        client.portal.call(client.app.state.service.current.refresh)  # type: ignore
        go.set()
        assert len(answer.result().json()["links"]) == 1


def test_a_small_copy_is_made_of_a_large_picture(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    large = picture(size=(900, 600))
    monkeypatch.setattr(DataSetCatalogue, "picture", lambda self, entity: large)
    answer = client.get("/entities/GN/picture")
    assert answer.content[:2] == b"\xff\xd8"
    assert len(answer.content) < 10_000
