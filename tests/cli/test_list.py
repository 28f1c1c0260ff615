"""`melder list`: what there is to name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from melder.cli import app
from melder.cli.list import REGISTRIES, registry_of
from melder.records import MelderError

RUNNER = CliRunner()
PYPROJECT = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_part_is_listed_with_what_it_is_and_needs(kind: str) -> None:
    said = RUNNER.invoke(app, ["list", kind, "--json"])
    assert said.exit_code == 0
    parts = json.loads(said.stdout)
    assert [part["name"] for part in parts] == list(registry_of(kind).names())
    assert all(part["summary"] and "\n" not in part["summary"] for part in parts)
    assert all(part["from"] == "melder" for part in parts)
    extras = set(re.search(r"optional-dependencies\]\n(.*?)\n\[", PYPROJECT, re.DOTALL)[1].split("\n"))  # type: ignore[index]
    known = {line.partition(" =")[0] for line in extras}
    assert all(part["extra"] is None or part["extra"] in known for part in parts)


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_part_of_melder_can_be_imported(kind: str) -> None:
    registry = registry_of(kind)
    assert all(registry.get(name) is not None for name in registry.names())


def test_people_get_a_table() -> None:
    said = RUNNER.invoke(app, ["list", "methods"])
    assert said.exit_code == 0
    assert re.search(r"m3el .*multi-level matching", said.stdout)
    assert re.search(r"melder\[faiss\]", RUNNER.invoke(app, ["list", "indexes"]).stdout)


def test_without_a_kind_the_kinds_are_listed() -> None:
    said = RUNNER.invoke(app, ["list", "--json"])
    assert json.loads(said.stdout) == {kind: list(registry_of(kind).names()) for kind in REGISTRIES}
    assert re.search(r"methods .*m3el", RUNNER.invoke(app, ["list"]).stdout)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("method", "did you mean methods?"),
        ("finder", "did you mean finders?"),
        ("Unit", "did you mean units?"),
        ("towers", "there are encoders, methods"),
    ],
)
def test_a_kind_that_there_is_not_is_answered_with_the_nearest(kind: str, words: str) -> None:
    said = RUNNER.invoke(app, ["list", kind])
    assert isinstance(said.exception, MelderError)
    assert words in str(said.exception)


def test_the_forms_of_finders_are_listed() -> None:
    said = RUNNER.invoke(app, ["list", "finders", "--json"]).stdout
    for form in ("names:none", "names:RULE,RULE", "particles", "spacy:PIPELINE"):
        assert form in said
