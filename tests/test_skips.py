"""A test that is skipped is not passed over in silence, and in CI not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from skips import describe, unexpected

SKIPPING = """
import pytest

@pytest.mark.skipif(True, reason={reason!r})
@pytest.mark.parametrize("number", range(3))
def test_skipped(number: int) -> None: ...

def test_passed() -> None: ...
"""


def run(folder: Path, reason: str, ci: str, *options: str, module: str = SKIPPING) -> tuple[int, str]:
    (folder / "conftest.py").write_text("from skips import pytest_sessionfinish, pytest_terminal_summary\n")
    (folder / "test_it.py").write_text(module.format(reason=reason))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={folder}", *options, folder]
    variables = {"CI": ci, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables}, timeout=120)
    return done.returncode, done.stdout


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "two processes"])
@pytest.mark.parametrize(
    ("reason", "status"), [("there is no Chromium", 1), ("file systems cannot be mounted here", 0), ("of ../shared", 0)]
)
def test_in_ci_only_what_is_named_may_be_skipped(
    tmp_path: Path, reason: str, status: int, options: tuple[str, ...]
) -> None:
    returned, said = run(tmp_path, reason, "true", *options)
    assert returned == status, said
    assert f"skipped: 3 because {reason}" in said
    assert (f"nothing is skipped because {reason}" in said) == bool(status)


def test_elsewhere_it_is_said(tmp_path: Path) -> None:
    returned, said = run(tmp_path, "there is no Chromium", "")
    assert (returned, "skipped: 3 because there is no Chromium" in said) == (0, True)


def test_a_file_that_is_skipped_as_a_whole_counts(tmp_path: Path) -> None:
    whole = 'import pytest\npytest.importorskip("no_such_package")\n'
    returned, said = run(tmp_path, "", "true", module=whole + SKIPPING)
    assert returned != 0, said
    assert "could not import 'no_such_package'" in said
    assert 'pip install -e ".[dev]"' in said


def test_causes_are_counted_and_come_with_what_it_takes() -> None:
    line = describe(["needs melder[scale]", "there is no Chromium", "there is no Chromium"])
    assert line == 'skipped: 2 because there is no Chromium; 1 because needs melder[scale] (pip install -e ".[dev]")'
    assert unexpected(["of ../shared/data", "b", "a", "b"]) == ["a", "b"]
