"""What the pages tell people to write is there: names that are imported, commands and their options."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from melder.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\$ |[A-Z_]+=\S+ )*melder ", re.MULTILINE)
STOPS = {"|", ">", ">>", "&&", ";", "2>", "<", "#"}  # where the shell goes on

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def _blocks(page: Path, *kinds: str) -> Iterator[str]:
    yield from (text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind in kinds)


@pages
def test_what_is_imported_is_there(page: Path) -> None:
    for block in _blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "melder":
                module = importlib.import_module(str(node.module))
                missing = [name.name for name in node.names if not hasattr(module, name.name)]
                assert not missing, f"{page.name}: {node.module} has no {missing[0]}"


@pages
def test_commands_and_their_options_are_there(page: Path) -> None:
    for words in _commands(page):
        command, rest = _found(words[1:])
        assert not hasattr(command, "commands") or not rest or rest[0].startswith("-"), f"{page.name}: {words}"
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        unknown = [word for word in rest if re.fullmatch(r"--?[a-z][a-z-]*", word) and word not in known | {"--help"}]
        assert not unknown, f"{page.name}: {' '.join(words)}: no option {unknown[0]}"


def _commands(page: Path) -> Iterator[list[str]]:
    """The words of every `melder …` in a block that a shell reads, up to what the shell itself takes."""
    for block in _blocks(page, "", "console", "sh", "bash", "shell"):
        for line in block.replace("\\\n", " ").splitlines():
            if not COMMAND.match(line):
                continue
            try:
                words = shlex.split(line, comments=True)
            except ValueError:  # a quotation that goes on in the next line
                continue
            words = words[words.index("melder") :]
            stop = next((place for place, word in enumerate(words) if word in STOPS), len(words))
            yield words[:stop]


def _found(words: list[str]) -> tuple[Any, list[str]]:
    command: Any = get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def test_a_wrong_name_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nfrom melder.records import Nothing\n```\n\n```\nmelder link kb --nothing\n```\n")
    with pytest.raises(AssertionError, match="has no Nothing"):
        test_what_is_imported_is_there(page)
    with pytest.raises(AssertionError, match="no option --nothing"):
        test_commands_and_their_options_are_there(page)


def test_where_a_newcomer_is_sent_there_is_a_file() -> None:
    table = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").partition("## Where is")[2]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ")][2:]
    places = {place for row in rows for place in re.findall(r"`([a-z_/]+(?:/|\.py))`", row)}
    assert len(rows) >= 30
    assert not [place for place in sorted(places) if not (ROOT / "src" / "melder" / place).exists()]
