"""Routes whose body is a typed parameter, and is read within the service's limits before FastAPI sees it.

FastAPI describes the parameter in OpenAPI, and takes the value that is handed over here as it is. A body of more than
64 kB is parsed in a thread, so that no request holds up the others.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import anyio.to_thread
from fastapi import Request
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.datastructures import FormData
from starlette.responses import Response

from melder.serving.errors import parsed
from melder.serving.forms import read_form
from melder.serving.json_bounds import check_json
from melder.serving.settings import ServiceSettings

__all__ = ["BodyRoute", "in_thread_if_large"]

LARGE = 65_536  # bytes: JSON of this size is parsed in a millisecond
MULTIPART = "multipart/form-data"
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Result = TypeVar("Result")


async def in_thread_if_large(content: bytes | str, work: Callable[[], Result]) -> Result:
    """What `work` makes of some content: in a thread when there is much of it."""
    return await anyio.to_thread.run_sync(work) if len(content) > LARGE else work()


class BodyRoute(APIRoute):
    """A route of one body parameter: a form, bytes, or a model in JSON; a model that has `of_form`, and names
    in `several` the fields that may be repeated, may also come as a multipart form."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle
        info = self.body_field.field_info
        read = read_fields if isinstance(info, Form) else partial(read_body, kind=info.annotation)

        async def handle_with_body(request: Request) -> Response:
            settings: ServiceSettings = request.app.state.service.settings
            await self.admit(request)
            return await handle(_RequestWithBody(request, await read(request, settings)))

        return handle_with_body

    async def admit(self, request: Request) -> None:
        """Raises `ApiError` for a request whose body need not be read."""


async def read_body(request: Request, settings: ServiceSettings, kind: Any) -> Any:
    """The body of a request as bytes or as a model.

    Raises:
        ApiError: (400, 413, 422).
    """
    if hasattr(kind, "of_form") and request.headers.get("content-type", "").lower().startswith(MULTIPART):
        fields = await read_form(request, settings, kind.several)
        return await anyio.to_thread.run_sync(kind.of_form, fields, settings)
    content = await request.body()
    if kind is bytes:
        return content
    return await in_thread_if_large(content, partial(parse_json, kind, content, settings))


async def read_fields(request: Request, settings: ServiceSettings) -> FormData:
    """The texts among a form's fields.

    Raises:
        ApiError: (400, 413).
    """
    fields = await read_form(request, settings)
    return FormData([(name, value) for name, value in fields.items() if isinstance(value, str)])


Model = TypeVar("Model", bound=BaseModel)


def parse_json(kind: type[Model], content: bytes, settings: ServiceSettings) -> Model:
    """JSON as a model.

    Raises:
        ApiError: (413) when there is too much of it, (422) with its first fault.
    """
    check_json(content, settings)
    return parsed(kind, content)


class _RequestWithBody(Request):
    """A request whose body has been read: FastAPI is given the value for it, whatever content type the client named."""

    def __init__(self, request: Request, value: Any) -> None:
        headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
        headers.append((b"content-type", b"application/json"))
        super().__init__({**request.scope, "headers": headers}, request.receive)
        self._value = value

    async def body(self) -> bytes:
        return b"read"

    async def json(self) -> Any:
        return self._value

    async def form(self, **limits: Any) -> FormData:  # type: ignore[override]
        value: FormData = self._value
        return value
