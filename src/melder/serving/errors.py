"""Refusals: an HTTP status and one sentence that says what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import HTTPException
from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse

from melder.io.problems import first_fault
from melder.serving.settings import ServiceSettings

__all__ = ["BUSY", "ApiError", "Refused", "busy", "parsed", "refused", "validated"]

BUSY = 503  # the whole request is to come again, whatever else is right or wrong in it
Model = TypeVar("Model", bound=BaseModel)


class ApiError(HTTPException):
    """Why a request is not answered; `sentence` must name nothing of the machine that serves."""

    def __init__(self, status: int, sentence: str, **headers: str) -> None:
        shown = sentence.encode(errors="backslashreplace").decode()  # half of a surrogate pair cannot be answered
        super().__init__(status, shown, {name.replace("_", "-"): value for name, value in headers.items()})


class Refused(BaseModel):
    """The body of every answer that is no success."""

    error: str


def busy(settings: ServiceSettings) -> ApiError:
    """The queue is full."""
    return ApiError(BUSY, "too many mentions are waiting; ask again in a moment", retry_after=str(settings.retry_after))


def refused(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer to a request that is refused."""
    return JSONResponse(Refused(error=sentence).model_dump(), status, headers)


def parsed(kind: type[Model], content: bytes | str, status: int = 422) -> Model:
    """JSON as a model.

    Raises:
        ApiError: With the first fault and its field.
    """
    return _checked(kind, lambda: kind.model_validate_json(content), status)


def validated(kind: type[Model], value: object, status: int = 422) -> Model:
    """A value as a model.

    Raises:
        ApiError: With the first fault and its field.
    """
    return _checked(kind, lambda: kind.model_validate(value), status)


def _checked(kind: type[Model], work: Callable[[], Model], status: int) -> Model:
    try:
        return work()
    except ValidationError as error:
        name, message = first_fault(error, kind)
        raise ApiError(status, f"field '{name}': {message}" if name else f"the request {message}") from None
