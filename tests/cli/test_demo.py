"""`melder demo`, with fewer photographs and one epoch."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import melder.training.configuration as configuration
from cli.conftest import Melder
from melder.data import flags
from melder.protocols import Counting, Progress
from melder.records import Link
from training.small import read_lines

PYTHON = (sys.executable, "-c", "from melder.cli import main; main()")
module: Any = import_module("melder.cli.demo")  # the package's attribute of this name is the command
SMALLER = ["training.epochs=1", "training.validate_every=1"]


@pytest.fixture
def smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer mentions and epochs than the real one."""
    real = configuration.read_configuration

    def read(path: Path, assignments: list[str]) -> configuration.Configuration:
        return real(path, [*assignments, *SMALLER])

    monkeypatch.setattr(configuration, "read_configuration", read)
    monkeypatch.setattr(flags, "write_flags", partial(flags.write_flags, train=80, held_out=30, by_name=10))


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
    check_that_it_serves(said.errors)


def check_that_it_serves(said: str) -> None:
    """The command that is suggested, but for the port, answers over HTTP."""
    (line,) = [line for line in said.splitlines() if " serve " in line]
    command = shlex.split(line.strip())
    assert command[0] == "melder"
    with Server([*PYTHON, *command[1:], "--port", "0"]) as url:
        body = json.dumps({"text": "Guinea won the toss", "mentions": [{"start": 0, "end": 6}], "k": 3}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{url}/link", body), timeout=120) as answer:
            (link,) = json.load(answer)["links"]
        assert link["surface"] == "Guinea"
        assert len(link["candidates"]) == 3
        with urllib.request.urlopen(f"{url}/", timeout=120) as page:
            assert b"<html" in page.read()


class Server:
    """A service in a process of its own, as long as a `with` block."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> str:
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address, line
        return address[0]

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=120)


@pytest.mark.usefixtures("smaller")
@pytest.mark.parametrize("during", ["drawing", "training", "evaluating"])
def test_a_demo_that_is_stopped_goes_on(
    melder: Melder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, during: str
) -> None:
    real = module.counting

    @contextmanager
    def stopping() -> Iterator[Counting]:
        with real() as start:

            def interrupting(title: str, total: int) -> Progress:
                advance = start(title, total)
                return partial(stop, advance) if title == during else advance

            yield interrupting

    def stop(advance: Progress, done: int) -> None:
        advance(done)
        if done:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "counting", stopping)
        said = melder("demo", "--out", tmp_path)
    assert (said.status, said.errors.splitlines()[-1]) == (130, "stopped; the same command goes on where it stopped")
    assert not (tmp_path / "report.html").exists()
    said = melder("demo", "--out", tmp_path)
    assert said.status == 0, said.errors
    assert ("Drawing" in said.errors) == (during == "drawing")
    assert ("Training" in said.errors) == (during != "evaluating")
    assert (tmp_path / "report.html").is_file()


def test_without_the_packages_of_the_service_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert module._install().endswith(" -m pip install 'melder[serve]' && ")
    monkeypatch.setattr(module, "find_spec", lambda name: object())
    assert module._install() == ""


def test_commands_are_called_as_the_demo_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for called, named in {
        ".venv/bin/melder": ".venv/bin/melder",
        "/a b/melder": "'/a b/melder'",
        "-c": "melder",
    }.items():
        monkeypatch.setattr("sys.argv", [called, "demo"])
        assert module._program() == named


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
    start = next(number for number, line in enumerate(lines) if line.strip().startswith("melder link "))
    command: list[Any] = shlex.split(lines[start].rstrip("\\") + lines[start + 1])
    link = Link.model_validate_json(melder(*command[1:], "--json").out)
    assert link.surface == command[command.index("--mention") + 1]
    assert link.candidates[0].id in {entity["id"] for entity in read_lines(out / "flags/entities.jsonl")}
