"""Names of files in manifests: relative, and of what lies below."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

__all__ = ["FileName"]

PART = re.compile(r"(?!\.\.?$)[^/\\:\0-\x1f]{1,255}")  # of a path, between its slashes


def _is_below(name: str) -> str:
    if len(name) > 1000 or not all(PART.fullmatch(part) for part in name.split("/")):
        raise ValueError("is no name of a file below the directory")
    return name


FileName = Annotated[str, AfterValidator(_is_below)]
