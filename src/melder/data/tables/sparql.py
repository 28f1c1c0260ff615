"""Results of SPARQL queries as tables: JSON (W3C SPARQL 1.1 Query Results JSON Format) and the terms of TSV."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from melder.io.json_text import check_text
from melder.records import MelderError

__all__ = ["ENDINGS", "is_sparql_json", "json_rows", "term_text"]

ENDINGS = (".json", ".srj")
_FIRST = 1 << 16  # bytes in which the parts of a result are looked for
_ESCAPES = {"\\t": "\t", "\\n": "\n", "\\r": "\r", '\\"': '"', "\\'": "'", "\\\\": "\\"}


def is_sparql_json(path: Path) -> bool:
    """Whether a file looks like the result of a query in JSON: by its ending, and by how it begins.

    Args:
        path: Of the file.

    Returns:
        Whether it does.
    """
    if path.suffix.lower() not in ENDINGS:
        return False
    with path.open("rb") as file:
        start = file.read(_FIRST)
    return start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{") and b'"head"' in start and b'"vars"' in start


def json_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The variables, and a row for each solution.

    Args:
        path: Of the file.

    Yields:
        A number and the cells.

    Raises:
        MelderError: The file is no such result.
    """
    try:
        result: Any = json.loads(path.read_bytes().decode("utf-8-sig"))
        names = list(map(check_text, result["head"]["vars"]))
        solutions: list[dict[str, dict[str, Any]]] = result["results"]["bindings"]
        yield 1, names
        for number, solution in enumerate(solutions, 2):
            yield number, [check_text(solution[name]["value"]) if name in solution else "" for name in names]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MelderError(f"{path}: is no result of a query in JSON ({error!r}); save it again") from None


def term_text(term: str) -> str:
    """What an RDF term of a TSV result says: an address without its brackets, a literal without quotes and type.

    Args:
        term: As the file has it.

    Returns:
        What it says.
    """
    if term.startswith("<") and term.endswith(">"):
        return term[1:-1]
    if not term.startswith('"'):
        return term
    content = term[1 : term.rindex('"')]
    pieces, place = [], 0
    while place < len(content):
        pair = content[place : place + 2]
        pieces.append(_ESCAPES.get(pair, content[place]))
        place += len(pair) if pair in _ESCAPES else 1
    return "".join(pieces)
