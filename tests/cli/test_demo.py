"""`melder demo`, with fewer photographs and one epoch."""

from __future__ import annotations

import shlex
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import melder.training.configuration as configuration
from cli.conftest import Melder
from melder.data import flags
from melder.records import Link
from training.small import read_lines

SMALLER = ["training.epochs=1", "training.validate_every=1"]


@pytest.fixture
def smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer mentions and epochs than the real one."""
    real = configuration.read_configuration

    def read(path: Path, assignments: list[str]) -> configuration.Configuration:
        return real(path, [*assignments, *SMALLER])

    monkeypatch.setattr(configuration, "read_configuration", read)
    monkeypatch.setattr(flags, "write_flags", partial(flags.write_flags, train=80, held_out=30))


class References(HTMLParser):
    """Everything that a page would have a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [value or "" for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]


@pytest.mark.usefixtures("smaller")
def test_the_demo_draws_trains_shows_and_says_what_is_next(melder: Melder, tmp_path: Path) -> None:
    out = tmp_path / "a demo"
    said = melder("demo", "--seed", 5, "--out", out)  # with this seed one of the surfaces to be shown occurs
    assert said.status == 0, said.errors
    for row in ("name match", "text only", "picture only", "text and picture"):
        assert row in said.out
    assert "H@1" in said.out
    assert "'Guinea' in " in said.out
    assert ", picture images/mentions/test-" in said.out
    assert str(out / "report.html") in said.errors
    check_report(out / "report.html")
    again(melder, out)
    check_the_command_that_is_suggested(melder, said.errors, out)


def check_report(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    references = References()
    references.feed(page)
    assert any(each.startswith("data:image/") for each in references.found)
    assert [each for each in references.found if not each.startswith(("data:image/", "#"))] == []
    assert not references.tags & {"link", "iframe", "object"}
    assert "url(" not in page
    assert "@import" not in page


def again(melder: Melder, out: Path) -> None:
    """What is done already is not done again."""
    weights, picture = out / "run/model.safetensors", out / "flags/images/mentions"
    before = (weights.stat().st_mtime_ns, picture.stat().st_mtime_ns)
    said = melder("demo", "--out", out)
    assert said.status == 0
    assert (weights.stat().st_mtime_ns, picture.stat().st_mtime_ns) == before
    assert "Training" not in said.errors


def check_the_command_that_is_suggested(melder: Melder, said: str, out: Path) -> None:
    lines = said.splitlines()
    start = next(number for number, line in enumerate(lines) if line.strip().startswith("melder link"))
    command: list[Any] = shlex.split(lines[start].rstrip("\\") + lines[start + 1])
    link = Link.model_validate_json(melder(*command[1:], "--json").out)
    assert link.surface == command[command.index("--mention") + 1]
    assert link.candidates[0].id in {entity["id"] for entity in read_lines(out / "flags/entities.jsonl")}
