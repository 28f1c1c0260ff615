"""How much JSON is taken: looked at before it is parsed, since a parsed value takes up to a hundred times its bytes."""

from __future__ import annotations

import re

from melder.serving.errors import ApiError
from melder.serving.settings import ServiceSettings

__all__ = ["check_json"]

TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{,]', re.DOTALL)  # a string, or what begins another value
PICTURE = re.compile(rb'"(?:data:[^,"]{0,200},)?(?:[A-Za-z0-9+/=]|\\[nrt/])*"')
SHORT = 4096  # bytes of a string that counts in full, whatever it may be


def check_json(content: bytes, settings: ServiceSettings) -> None:
    """Raises `ApiError` (413) for JSON of too many values, or of too many bytes apart from pictures in base64."""
    spared = 0
    for values, token in enumerate(TOKEN.finditer(content), start=1):
        if values > settings.json_values:
            raise ApiError(413, f"the JSON has more than {settings.json_values:,} values; send less at once")
        if token.end() - token.start() > SHORT and PICTURE.fullmatch(content, token.start(), token.end()):
            spared += token.end() - token.start()
    if len(content) - spared > settings.json_bytes:
        raise ApiError(413, f"the JSON has more than {settings.json_bytes:,} bytes besides pictures; send less at once")
