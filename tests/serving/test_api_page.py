"""GET /docs: every operation, with a command that the service takes, and nothing from elsewhere."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from browser import Browser, needs_chromium
from melder.serving import ServiceSettings, create_application
from melder.serving.api_examples import documented_operations
from serving.conftest import Start
from serving.test_page import no_complaints, running
from serving.toy import ToySource

TOKEN = "0123456789abcdef-token"
HEADER = "Authorization: Bearer $(cat token)"
NOT_FOR_TOYS = {"/explain": 501, "/entities/{identity}/picture": 404}  # whose linker cannot, and who have none


def sent(client: TestClient, command: str) -> Any:
    """The answer to a curl command, of whose options those of /docs are understood."""
    words = iter(shlex.split(command)[1:])
    method, address, headers, body = None, "", dict[str, str](), None
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-H":
            name, value = next(words).split(": ", 1)
            headers[name] = value.replace("$(cat token)", TOKEN)
        elif word == "--data-binary":
            body = next(words)
        elif word == "--data-urlencode":
            body = urlencode(dict([next(words).split("=", 1)]))
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif word == "--output":
            next(words)
        else:
            address = word
    return client.request(method or ("GET" if body is None else "POST"), address, headers=headers, content=body)


def test_every_example_is_answered(client: TestClient, tmp_path: Path) -> None:
    pytest.importorskip("rdflib", reason="the extra `nif` is not installed")
    settings = ServiceSettings(wait=0.0, token=TOKEN, log=tmp_path / "log")  # type: ignore[arg-type]
    for operation in documented_operations(client.get("/openapi.json").json(), "http://testserver"):
        source = ToySource()  # as yet unchanged by the others
        with TestClient(create_application(source, source.open(), settings)) as service:
            status = sent(service, operation.curl).status_code
        assert status == NOT_FOR_TOYS.get(operation.path, status if status in (200, 201) else 200), operation.curl


def test_the_page_shows_all_operations_and_escapes_what_it_shows(client: TestClient) -> None:
    page = client.get("/docs", headers={"Host": "testserver"})
    document = client.get("/openapi.json").json()
    operations = list(documented_operations(document, "http://testserver"))
    commands = [html.unescape(command) for command in re.findall(r"<pre[^>]*>(.*?)</pre>", page.text, re.DOTALL)]
    assert sorted(commands) == sorted(operation.curl for operation in operations)
    assert len(commands) == sum(len(methods) for methods in document["paths"].values())
    assert not re.search(r"<script|\sstyle=|\son\w+=|(?:src|href)=\"(?:https?:)?//", page.text)
    assert "script-src" not in page.headers["content-security-policy"]
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")


def test_commands_name_the_address_that_clients_know(start: Start) -> None:
    page = start(public_url="https://link.example.org/melder/").get("/docs")
    assert "curl https://link.example.org/melder/link " in page.text


@needs_chromium
def test_the_page_needs_nothing_from_elsewhere_and_fits_a_phone(source: ToySource, tmp_path: Path) -> None:
    with running(source) as address, Browser(tmp_path / "profile") as browser:
        browser.open(f"{address}docs")
        browser.look(tmp_path / "docs.png", 360)
        assert browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth") is True
        assert browser.evaluate("getComputedStyle(document.querySelector('.card')).borderStyle") == "solid"
        target = "document.getElementById(decodeURIComponent(link.hash.slice(1))) !== null"
        assert browser.evaluate(f"[...document.querySelectorAll('nav a')].every((link) => {target})") is True
        assert no_complaints(browser)
