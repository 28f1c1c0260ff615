"""The web application: routers around one service, and what happens when it starts and stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response
from starlette.routing import compile_path

import melder
from melder.mentions.dictionary import NameFinder
from melder.protocols import MentionFinder
from melder.serving.batching import Batcher
from melder.serving.errors import Refused, refused
from melder.serving.fetching import Fetcher
from melder.serving.mention_log import MentionLog
from melder.serving.metrics import ServiceMetrics
from melder.serving.middleware import RequestMiddleware
from melder.serving.pictures import ImageLoader
from melder.serving.routers import ROUTERS
from melder.serving.service import Service
from melder.serving.settings import ServiceSettings
from melder.serving.snapshot import SnapshotReloader
from melder.serving.source import Served, ServedSource

__all__ = ["create_application"]


def create_application(
    source: ServedSource,
    served: Served,
    settings: ServiceSettings | None = None,
    fetcher: Fetcher | None = None,
    finder: MentionFinder | None = None,
) -> FastAPI:
    """An application that serves `served`, which `source` has opened, and what `source` has later.

    `finder` finds mentions that nobody has marked; by default names of entities are looked for.
    """
    settings, measures = settings or ServiceSettings(), ServiceMetrics()
    current = SnapshotReloader(source, served, measures)
    log = None if settings.log is None else MentionLog(settings.log, settings.log_bytes)
    del served  # the application outlives it

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        batcher = Batcher(settings, measures)
        pictures = ImageLoader(settings, fetcher or Fetcher(settings))
        names = finder or NameFinder.open()
        app.state.service = Service(settings, current, batcher, pictures, measures, finder=names, log=log)
        answering = asyncio.ensure_future(batcher.run())
        watching = asyncio.ensure_future(current.watch(settings.poll))
        yield
        watching.cancel()
        batcher.close()
        await answering
        current.close()

    app = FastAPI(
        title="Melder",
        summary="Links mentions in text and pictures to the entities of a knowledge base.",
        version=melder.__version__,
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from elsewhere; /docs is Melder's own
        redoc_url=None,
        redirect_slashes=False,
        responses={422: {"model": Refused}},
    )
    app.add_middleware(RequestMiddleware, settings=settings, measures=measures)  # type: ignore[arg-type]
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    for router in ROUTERS:
        app.include_router(router)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    sentence = error.detail if isinstance(error, HTTPException) else _PLAIN.get(error.status_code, error.detail)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods_at(request))
    return refused(error.status_code, sentence, headers)


def _methods_at(request: Request) -> list[str]:
    """What the address takes; the router knows of the first of its routes only."""
    paths: Mapping[str, Mapping[str, object]] = request.app.openapi()["paths"]
    path = request.scope["path"]
    patterns = {name: compile_path(name)[0] for name in paths}
    return sorted(
        {verb.upper() for name, verbs in paths.items() if patterns[name].match(path) for verb in verbs} or {"GET"}
    )


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fault = error.errors()[0]
    name = ".".join(str(part) for part in fault["loc"][1:])
    return refused(422, f"parameter '{name}': {fault['msg']}")


_PLAIN: Mapping[int, str] = {
    404: "there is nothing at this address; /openapi.json lists what there is",
    405: "this address does not take that method; /openapi.json lists what there is",
}
