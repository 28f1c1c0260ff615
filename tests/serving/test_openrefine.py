"""OpenRefine itself, end to end: a project, types, a column reconciled with a type, a judgment, values, a preview."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from melder.serving import ServiceSettings, create_application, listen
from melder.serving.run import Server
from serving.openrefine import ABSENT, EXECUTABLE, open_refine
from serving.toy import ToySource

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason=ABSENT)


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """The address of a service of the toys, which listens on loopback."""
    source, settings = ToySource(), ServiceSettings(wait=0.0)
    app = create_application(source, source.open(), settings)
    server, listener = Server(app, settings), listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/reconcile"
    finally:
        server.should_exit = True
        thread.join(60)


def fetched(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return json.load(answer)


def test_a_column_goes_the_whole_way(service: str, tmp_path: Path) -> None:
    manifest = fetched(service)
    table = "name,text\nGuinea,Guinea won\nGuinea pig,A pet\nMercury,It is hot\nPapua New Guinea,An island\nNobody,x\n"
    with open_refine(tmp_path) as refine:
        refine.create(table)
        assert refine.guess_types("name", service)[0] == "country"
        details = [{"column": "text", "property": {"id": "context", "name": "context"}}]
        refine.reconcile("name", service, "country", manifest, details)
        rows = [row[0] for row in refine.rows()]
        matched = [cell["r"]["m"]["id"] if cell["r"].get("j") == "matched" else None for cell in rows]
        assert matched == ["GN", None, None, "PG", None]  # no animal, planet or metal is a country
        pig = next(candidate for candidate in rows[1]["r"]["c"] if candidate["id"] == "pig")
        refine.judge(1, 0, pig, manifest)
        refine.extend("name", "description", service, manifest)
        values = [row[2]["v"] if len(row) > 2 and row[2] else None for row in refine.rows()]
        assert values == ["A country.", "A rodent.", None, "An island country.", None]
    with urllib.request.urlopen(manifest["preview"]["url"].replace("{{id}}", "GN"), timeout=60) as page:
        assert "A country." in page.read().decode()
