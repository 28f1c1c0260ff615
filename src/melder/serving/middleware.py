"""Around every request: its host and body are checked, its answer gets headers, and nothing leaves unmeasured."""

from __future__ import annotations

import logging
import time
from urllib.parse import quote, unquote

from fastapi import HTTPException
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from melder.serving.errors import refused
from melder.serving.limits.bodies import Body, BodyBudget
from melder.serving.metrics import ServiceMetrics
from melder.serving.settings import ServiceSettings

__all__ = ["ARRIVED", "RequestMiddleware"]

log = logging.getLogger(__name__)
ARRIVED = "melder.arrived"  # the key in a request's scope of when it began, by time.monotonic

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
ENTITIES = "/entities/"
PARTS = ("picture", "exemplars")  # what has an address below that of an entity
# Reconciliation clients are pages of other origins: CORS on every answer, and previews in their frames.
SHARED = "/reconcile"
SHARED_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Accept",
    "Access-Control-Max-Age": "86400",
}


class RequestMiddleware:
    """ASGI middleware; an exception becomes one sentence, and its traceback goes to the log."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings, measures: ServiceMetrics) -> None:
        self._app, self._settings, self._measures = app, settings, measures
        self._meter = BodyBudget()
        measures.bodies.set_function(lambda: self._meter.held)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        scope[ARRIVED] = time.monotonic()
        scope["path"] = one_segment(scope["path"], scope.get("raw_path"))
        answer = _Answer(scope, send)
        try:
            await self._handle(scope, receive, answer)
        except HTTPException as refusal:
            await self._instead(
                refused(refusal.status_code, refusal.detail, dict(refusal.headers or {})), scope, answer
            )
        except Exception:
            log.exception("a request failed")
            await self._instead(refused(500, "this is a defect of the service; its log says more"), scope, answer)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._measures.requests.labels(route, str(answer.status)).inc()
            self._measures.seconds.labels(route).observe(time.monotonic() - scope[ARRIVED])

    async def _handle(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        if not self._is_our_name(scope):
            sentence = "this service does not answer to that name; name it with --public-url when it is started"
            return await refused(421, sentence)(scope, receive, answer.send)
        if scope["method"] == "OPTIONS" and _is_shared(scope):
            return await Response(status_code=204, headers=PREFLIGHT)(scope, receive, answer.send)
        if scope["method"] == "HEAD":  # as GET; the server sends no body
            scope = {**scope, "method": "GET"}
        body = Body(scope, receive, self._settings, self._meter)
        try:
            await self._app(scope, body.receive, answer.send)
        finally:
            body.release()

    async def _instead(self, response: Response, scope: Scope, answer: _Answer) -> None:
        if answer.status == 0:
            await response(scope, _nothing, answer.send)

    def _is_our_name(self, scope: Scope) -> bool:
        """Whether the Host header is one that people gave this service, so that no other site can pose as it."""
        if not self._settings.hosts:
            return True
        given = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        name = given[0] if len(given) == 1 else ""
        host, colon, port = name.rpartition(":")
        return (colon != "" and port.isdecimal() and host in self._settings.hosts) or name in self._settings.hosts


def one_segment(path: str, raw: bytes | None) -> str:
    """The path, of which an entity's id is one segment, percent-encoded once more.

    Ids hold slashes, which clients may encode or not: an encoded one belongs to the id, and what stands behind the last
    plain one may be `/picture` or `/exemplars`, which does not.
    """
    if not path.startswith(ENTITIES):
        return path
    identity = raw.decode("latin-1").removeprefix(ENTITIES) if raw is not None else quote(path.removeprefix(ENTITIES))
    identity, slash, last = identity.rpartition("/")
    if slash and last in PARTS:
        return f"{ENTITIES}{quote(unquote(identity), safe='')}/{last}"
    return ENTITIES + quote(unquote(identity + slash + last), safe="")


class _Answer:
    """Sends one answer with all its headers; `status` is 0 until it begins."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self._headers = HEADERS | (SHARED_HEADERS if _is_shared(scope) else {})
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
            if "frame-ancestors *" in headers["Content-Security-Policy"]:
                del headers["X-Frame-Options"]
        await self._send(message)


def _is_shared(scope: Scope) -> bool:
    path: str = scope["path"]
    return path == SHARED or path.startswith(SHARED + "/")


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
