from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from melder.cli import main
from melder.cli.console import console, errors
from training import small


@dataclass(frozen=True)
class Said:
    """What a command left: its exit status, standard output and standard error."""

    status: int
    out: str
    errors: str

    @property
    def error(self) -> str:
        """The one line about a user's mistake."""
        assert self.status == 2, self.errors
        (line,) = self.errors.splitlines()
        assert line.startswith("melder: ")
        assert "Traceback" not in self.errors
        return line.removeprefix("melder: ")


Melder = Callable[..., Said]


@pytest.fixture
def melder(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Melder:
    """Runs a command as the console script does."""
    monkeypatch.setenv("COLUMNS", "200")
    for each in (console, errors):  # they may have been made under another width
        monkeypatch.setattr(each, "_width", 200)

    def run(*arguments: object, stdin: bytes = b"") -> Said:
        monkeypatch.setattr(sys, "argv", ["melder", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else int(left.code is not None)
        captured = capsys.readouterr()
        return Said(status, captured.out, captured.err)

    return run


@pytest.fixture
def data(small_data: Path, tmp_path: Path) -> Path:
    """A copy of the data set that may be spoilt."""
    return Path(shutil.copytree(small_data, tmp_path / "data"))


@pytest.fixture
def recipe(data: Path, tmp_path: Path) -> Path:
    """A configuration file that trains on the copy for one epoch."""
    path = tmp_path / "recipe.yaml"
    content: dict[str, Any] = small.settings(data, epochs=1, batch_size=20)
    path.write_text(yaml.safe_dump(content))
    return path
