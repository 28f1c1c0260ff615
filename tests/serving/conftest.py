from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from starlette.testclient import TestClient

from melder.serving import ServiceSettings, create_application
from serving.toy import ToyLinker, ToySource

Start = Callable[..., TestClient]


@pytest.fixture
def source() -> ToySource:
    return ToySource()


@pytest.fixture
def start(source: ToySource) -> Iterator[Start]:
    """Starts a service of the toys, with some of its settings."""
    with ExitStack() as running:

        def started(fetcher: Any = None, finder: Any = None, **settings: Any) -> TestClient:
            app = create_application(
                source, source.open(), ServiceSettings(**{"wait": 0.0} | settings), fetcher, finder
            )
            return running.enter_context(TestClient(app, raise_server_exceptions=True))

        yield started


@pytest.fixture
def client(start: Start) -> TestClient:
    return start()


@pytest.fixture
def linker(client: TestClient, source: ToySource) -> ToyLinker:
    """The linker that `client` asks."""
    return source.opened[0]
