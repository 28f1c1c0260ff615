"""Forms, read with limits on their parts."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request
from starlette.datastructures import UploadFile

from melder.serving.errors import ApiError
from melder.serving.settings import ServiceSettings

__all__ = ["read_form"]


async def read_form(request: Request, settings: ServiceSettings) -> Mapping[str, str | bytes]:
    """The fields of a form, multipart or not: texts, and the contents of files.

    Raises `ApiError` (400) when it cannot be read, or has too many parts, or a field twice.
    """
    parts = settings.parts
    async with request.form(max_files=parts, max_fields=parts, max_part_size=settings.body) as form:
        fields = form.multi_items()
        if len(fields) > parts or len(fields) != len(dict(fields)):
            raise ApiError(400, f"a form may have {parts} fields at most, and each of them once")
        return {name: await value.read() if isinstance(value, UploadFile) else value for name, value in fields}
