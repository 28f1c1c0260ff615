"""Many requests at once: batches, a full queue, deadlines, clients that leave, generations that change meanwhile."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from melder.records import Entity
from melder.serving import create_application
from melder.serving.settings import ServiceSettings
from serving.conftest import Start
from serving.toy import ToySource

ASKED = {"text": "Guinea won", "mentions": [{"start": 0, "end": 6}], "k": 1}
Ask = Callable[..., "Future[Any]"]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Sends a request from a thread of its own."""
    with ThreadPoolExecutor(64) as clients:
        yield lambda client, **change: clients.submit(client.post, "/link", json=ASKED | change)


def waiting(client: TestClient, count: int) -> None:
    """Until so many mentions are in the queue."""
    until = time.monotonic() + 120
    while f"melder_queue_mentions {count:.1f}" not in client.get("/metrics").text:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_requests_that_come_together_are_linked_together(start: Start, source: ToySource, ask: Ask) -> None:
    client = start(batch=8)
    linker = source.opened[0]
    linker.open.clear()
    first = ask(client)
    assert linker.started.wait(60)
    others = [ask(client, k=1 + number % 3) for number in range(10)]
    waiting(client, 10)
    linker.open.set()
    answers = [each.result(60).json() for each in (first, *others)]
    assert linker.batches == [1, 8, 2]
    assert [len(each["links"][0]["candidates"]) for each in answers[1:]] == [1 + number % 3 for number in range(10)]


def test_the_first_mention_of_a_batch_waits_for_others(start: Start, source: ToySource, ask: Ask) -> None:
    client = start(batch=3, wait=60.0)  # a full batch does not wait: else patience, ten seconds, would end
    assert all(each.result(60).status_code == 200 for each in [ask(client) for _ in range(3)])
    assert source.opened[0].batches == [3]


def test_a_full_queue_refuses_at_once_and_recovers(start: Start, source: ToySource, ask: Ask) -> None:
    client = start(queue=4, mentions=4, queries=4, batch=1)
    linker = source.opened[0]
    linker.open.clear()
    begun = [ask(client)]
    assert linker.started.wait(60)
    begun += [ask(client) for _ in range(3)]
    waiting(client, 3)
    assert client.get("/readyz").status_code == 200
    two = {"mentions": [{"start": 0, "end": 6}, {"start": 7, "end": 10}]}
    refused = ask(client, **two).result(60)  # all of a request is taken, or none
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert refused.json() == {"error": "too many mentions are waiting; ask again in a moment"}
    begun.append(ask(client))
    waiting(client, 4)
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200
    linker.open.set()
    assert [each.result(60).status_code for each in begun] == [200] * 5
    assert client.get("/readyz").status_code == 200


def test_a_late_answer_is_a_504_and_what_waited_is_not_linked(start: Start, source: ToySource, ask: Ask) -> None:
    client = start(deadline=0.3, batch=1)
    linker = source.opened[0]
    linker.open.clear()
    late = [ask(client), ask(client), ask(client)]
    assert {each.result(60).status_code for each in late} == {504}
    linker.open.set()
    assert ask(client).result(60).status_code == 200
    assert linker.batches == [1, 1]  # the one that had begun, and the new one
    assert "melder_dropped_mentions_total 2.0" in client.get("/metrics").text


def test_cancelled_mentions_make_room_in_a_full_queue(start: Start, source: ToySource, ask: Ask) -> None:
    client = start(deadline=0.3, batch=1, queue=2, mentions=2, queries=2)
    source.opened[0].open.clear()
    first = ask(client)
    assert source.opened[0].started.wait(60)
    late = [first, ask(client), ask(client)]
    assert {each.result(60).status_code for each in late} == {504}
    again = ask(client)  # the queue is full of what nobody waits for
    waiting(client, 1)
    source.opened[0].open.set()
    assert again.result(60).status_code in (200, 504)


def test_a_defect_of_the_linker_is_a_500_that_tells_nothing(start: Start, source: ToySource) -> None:
    client = start()
    source.opened[0].error = RuntimeError("/secret/place: index out of range")
    answer = client.post("/link", json=ASKED)
    assert answer.status_code == 500
    assert answer.json() == {"error": "this is a defect of the service; its log says more"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    source.opened[0].error = None
    assert client.post("/link", json=ASKED).status_code == 200


def test_a_new_generation_takes_over_while_requests_are_under_way(start: Start, source: ToySource, ask: Ask) -> None:
    client = start(poll=0.02, batch=1)
    old = source.opened[0]
    old.open.clear()
    begun = [ask(client), ask(client)]
    assert old.started.wait(60)
    waiting(client, 1)
    source.entities["new"] = Entity(id="new", name="Guinea Guinea won", description="won")
    source.number += 1
    until = time.monotonic() + 120
    while client.get("/readyz").json()["generation"] != "000002":
        assert time.monotonic() < until
        time.sleep(0.01)
    later = ask(client)
    assert source.closed == []
    old.open.set()
    answers = [each.result(60).json() for each in (*begun, later)]
    assert [each["generation"] for each in answers] == ["000001", "000001", "000002"]
    assert [each["links"][0]["candidates"][0]["id"] for each in answers] == ["GN", "GN", "new"]
    assert source.closed == ["000001"]  # when its last request was answered


def test_a_generation_that_cannot_be_opened_leaves_the_old_one(start: Start, source: ToySource) -> None:
    client = start(poll=0.02)
    source.broken, source.number = True, 2
    until = time.monotonic() + 120
    while "melder_failed_reloads_total 1.0" not in client.get("/metrics").text:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert client.post("/link", json=ASKED).json()["generation"] == "000001"
    source.broken, source.number = False, 3
    while client.get("/readyz").json()["generation"] != "000003":
        assert time.monotonic() < until
        time.sleep(0.01)


def test_when_the_client_leaves_its_mention_is_not_linked(source: ToySource) -> None:
    """Played on the ASGI interface: the client leaves while its mention waits in a batch for others."""
    asyncio.run(_client_that_leaves(source))
    assert source.opened[0].seen == ["won"]


async def _client_that_leaves(source: ToySource) -> None:
    app = create_application(source, source.open(), ServiceSettings(wait=0.5))
    async with app.router.lifespan_context(app):
        leaving, staying = asyncio.Event(), asyncio.Event()
        other = ASKED | {"mentions": [{"start": 7, "end": 10}]}
        gone, stayed = _request(app, ASKED, leaving), _request(app, other, staying)
        await asyncio.sleep(0.1)
        leaving.set()
        assert await asyncio.wait_for(gone, 0.3) == 499
        assert await stayed == 200


def _request(app: Any, body: dict[str, Any], leave: asyncio.Event) -> Awaitable[int]:
    """The status of the answer to a client that sends its body and then stays until `leave`."""
    sent, status = False, asyncio.get_running_loop().create_future()

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}
        await leave.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            status.set_result(message["status"])

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http"}
    scope |= {"path": "/link", "raw_path": b"/link", "query_string": b"", "root_path": "", "headers": []}
    scope |= {"client": ("test", 1), "server": ("test", 80), "state": {}}
    task = asyncio.ensure_future(app(scope, receive, send))
    status.add_done_callback(lambda _: task)
    return status
