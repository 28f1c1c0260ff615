"""The asyncio client against the service itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from subprocess import run
from typing import TypeVar

import httpx2
import pytest

from melder.client import AsyncClient
from melder.records import MelderError, Mention
from melder.serving import ServiceSettings, create_application
from serving.toy import ToySource, picture

T = TypeVar("T")
TEXT = "🏏 Guinea won"


def _ask(work: Callable[[AsyncClient], Awaitable[T]]) -> T:
    """What the client gets of a service of the toys; both run in one event loop."""

    async def asked() -> T:
        source = ToySource()
        service = create_application(source, source.open(), ServiceSettings(wait=0.0))
        transport = httpx2.ASGITransport(service)
        async with (
            service.router.lifespan_context(service),
            AsyncClient("http://testserver", transport=transport) as client,
        ):
            return await work(client)

    return asyncio.run(asked())


def test_one_mention_is_linked() -> None:
    link = _ask(lambda asking: asking.link(TEXT, mention="Guinea", k=2, image=picture()))
    assert (link.start, link.end, [each.id for each in link.candidates]) == (2, 8, ["GN", "GW"])


def test_many_keep_their_order_and_their_ids() -> None:
    mentions = [(TEXT, "Guinea"), Mention(id="own", text=TEXT, start=9, end=12, surface="won"), TEXT]
    links = _ask(lambda asking: asking.link_many(mentions, k=1))
    assert [(link.id, link.surface) for link in links] == [("1", "Guinea"), ("own", "won"), ("3", TEXT)]


def test_names_are_found_and_entities_shown() -> None:
    assert [link.surface for link in _ask(lambda asking: asking.find(TEXT))] == ["Guinea"]
    assert _ask(lambda asking: asking.entity("GN")).name == "Guinea"


def test_refusals_are_those_of_the_service_in_one_line() -> None:
    with pytest.raises(MelderError, match="there is no entity 'nobody'"):
        _ask(lambda asking: asking.entity("nobody"))
    with pytest.raises(MelderError, match="does not occur"):
        _ask(lambda asking: asking.link(TEXT, mention="Chad"))
    with pytest.raises(MelderError, match="does not occur in its text"):
        _ask(lambda asking: asking.link_many([Mention(id="7", text="a", surface="b")]))


def test_a_service_that_is_not_there() -> None:
    async def asked() -> None:
        async with AsyncClient("http://127.0.0.1:9", timeout=5) as client:
            await client.link("a")

    with pytest.raises(MelderError, match=r"http://127\.0\.0\.1:9.*gives no answer"):
        asyncio.run(asked())


def test_a_client_needs_no_pytorch() -> None:
    code = "import sys, melder.client; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
