"""Reads a file that is one JSON object."""

from __future__ import annotations

import json
from pathlib import Path

from melder.io.problems import Problems, read_bytes

__all__ = ["read_object"]


def read_object(path: Path, problems: Problems) -> dict[str, object]:
    """The object; an empty one, and a note in `problems`, when the file is none.

    Bytes that are not UTF-8 become lone surrogates, so that each record that holds one can be named.
    """
    try:
        value = json.loads(read_bytes(path).decode("utf-8", errors="surrogateescape"))
    except (ValueError, RecursionError) as error:
        problems.add(path, 0, [("", f"is not JSON ({error}); mend the file")])
        return {}
    if not isinstance(value, dict):
        problems.add(path, 0, [("", "is not a JSON object; put the records in { … }, each with its key")])
        return {}
    return value
