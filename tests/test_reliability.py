"""Every promise of docs/reliability.md names a test that there is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)


def test_there_are_promises() -> None:
    assert len(NAMED) > 20


def test_every_test_that_the_page_names_is_there() -> None:
    for file, test in NAMED:
        path = ROOT / file
        assert path.is_file(), file
        assert f"def {test}" in path.read_text(encoding="utf-8"), f"{file}::{test}"


def test_every_promise_names_a_test() -> None:
    """Rows of the tables of promises: what is promised, and the test."""
    promises = PAGE[PAGE.index("## What Melder promises") : PAGE.index("## Figures")]
    rows = [line for line in promises.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    assert len(rows) > 20
    assert [row for row in rows if "`tests/" not in row and "| test |" not in row] == []
