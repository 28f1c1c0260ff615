"""Forms, read with limits on their parts."""

from __future__ import annotations

import binascii
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import anyio.to_thread
from fastapi import Request
from starlette.datastructures import UploadFile

from melder.serving.errors import ApiError
from melder.serving.settings import ServiceSettings

__all__ = ["FormValue", "read_form", "url_decoded"]

FormValue = str | bytes | tuple[str | bytes, ...]

URL_ENCODED = "application/x-www-form-urlencoded"
BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")
LARGE = 65_536  # bytes
ESCAPES = 2  # for each byte of JSON that is taken: every one of them escaped, and as many in pictures


async def read_form(
    request: Request, settings: ServiceSettings, several: Sequence[str] = ()
) -> Mapping[str, FormValue]:
    """The fields of a form, multipart or not: texts, and the contents of files.

    Args:
        request: whose body is read.
        settings: how many parts there may be, and how large.
        several: the fields that a multipart form may repeat; one that is repeated is a tuple, in order.

    Raises:
        ApiError: (400) when it cannot be read, or has too many parts, or another field twice, (413) for too many
            escapes.
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
        _check_fields([name for name, _ in fields], parts, several)
        values: dict[str, FormValue] = {}
        for name, value in fields:
            part = await value.read() if isinstance(value, UploadFile) else value
            values[name] = _joined(values[name], part) if name in values else part
        return values


def _joined(before: FormValue, content: str | bytes) -> tuple[str | bytes, ...]:
    return (*(before if isinstance(before, tuple) else (before,)), content)


def _url_encoded(content: bytes, parts: int) -> dict[str, FormValue]:
    pairs = content.split(b"&", parts + 1)
    fields = [pair.partition(b"=") for pair in pairs if pair]
    decoded = [(url_decoded(name), url_decoded(value)) for name, _, value in fields]
    _check_fields([name for name, _ in decoded], parts)
    return dict(decoded)


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


def _check_fields(names: Sequence[str], parts: int, several: Sequence[str] = ()) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1 and name not in several]
    if len(names) > parts or repeated:
        also = f", but for {' and '.join(several)}" if several else ""
        raise ApiError(400, f"a form may have {parts} fields at most, and each of them once{also}")
