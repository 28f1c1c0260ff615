"""Forms, read with limits on their parts."""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping

import anyio.to_thread
from fastapi import Request
from starlette.datastructures import UploadFile

from melder.serving.errors import ApiError
from melder.serving.settings import ServiceSettings

__all__ = ["read_form", "url_decoded"]

URL_ENCODED = "application/x-www-form-urlencoded"
BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")
LARGE = 65_536  # bytes
ESCAPES = 2  # for each byte of JSON that is taken: every one of them escaped, and as many in pictures


async def read_form(request: Request, settings: ServiceSettings) -> Mapping[str, str | bytes]:
    """The fields of a form, multipart or not: texts, and the contents of files.

    Raises:
        ApiError: (400) when it cannot be read, or has too many parts, or a field twice, (413) for too many escapes.
    """
    if request.headers.get("content-type", "").lower().startswith(URL_ENCODED):
        content = await request.body()
        if content.count(b"%") > ESCAPES * settings.json_bytes:  # text that is escaped whole, and pictures' + and /
            raise ApiError(413, "the form has too many escapes; send less at once, and pictures as multipart")
        if len(content) > LARGE:
            return await anyio.to_thread.run_sync(_url_encoded, content, settings.parts)
        return _url_encoded(content, settings.parts)
    parts = settings.parts
    async with request.form(max_files=parts, max_fields=parts, max_part_size=settings.json_bytes) as form:
        fields = form.multi_items()
        _check_fields(len(fields), len(dict(fields)), parts)
        return {name: await value.read() if isinstance(value, UploadFile) else value for name, value in fields}


def _url_encoded(content: bytes, parts: int) -> dict[str, str | bytes]:
    pairs = content.split(b"&", parts + 1)
    fields = [pair.partition(b"=") for pair in pairs if pair]
    decoded: dict[str, str | bytes] = {url_decoded(name): url_decoded(value) for name, _, value in fields}
    _check_fields(len(fields), len(decoded), parts)
    return decoded


def url_decoded(content: bytes) -> str:
    """A field of a form, decoded in the memory of a few copies of it; `urllib` takes forty bytes for each escape.

    Quoted-printable, which is decoded in C, differs from percent-encoding in its sign only.

    Raises:
        ApiError: (400).
    """
    if BROKEN.search(content):
        raise ApiError(400, "the form is not percent-encoded: a % must stand before two hexadecimal digits")
    plain = content.replace(b"+", b" ").replace(b"=", b"%3D").replace(b"%", b"=")
    return binascii.a2b_qp(plain).decode(errors="replace")


def _check_fields(count: int, distinct: int, parts: int) -> None:
    if count > parts or count != distinct:
        raise ApiError(400, f"a form may have {parts} fields at most, and each of them once")
