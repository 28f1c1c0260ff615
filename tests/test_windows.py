"""Without `fcntl` and `resource`, which Windows lacks, Melder is imported, explains itself and links.

Each test blocks them in a process of its own. `filelock` then locks by files that are there or not.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import melder

SOURCE = Path(melder.__file__).parent
MISSING = ("fcntl", "resource", "pwd", "grp", "termios")
BLOCK = f"""
import builtins, io, json, sys
plain = builtins.__import__
def blocked(name, globals=None, *rest, **named):  # for the Linux half of other packages, such as psutil's, needs them
    importer = (globals or {{}}).get("__name__") or ""
    if name in {MISSING!r} and importer.split(".")[0] in ("melder", "filelock"):
        raise ModuleNotFoundError(name)
    return plain(name, globals, *rest, **named)
builtins.__import__ = blocked
from pathlib import Path
from melder.cli import app, main
"""
HELP = """
import click, typer
sys.stdout = io.TextIOWrapper(io.BytesIO())
def walk(command, path):
    yield path
    for name, command in getattr(command, "commands", {}).items():
        yield from walk(command, [*path, name])
explained = []
for path in walk(typer.main.get_command(app), []):
    sys.argv = ["melder", *path, "--help"]
    try:
        main()
    except SystemExit as leaving:
        if not leaving.code:
            explained.append(" ".join(path))
sys.__stdout__.write(json.dumps(explained))
"""
LINK = """
run, data, output = sys.argv[1:]
sys.argv = ["melder", "link", run, "--data", data, "--input", data + "/test.jsonl", "--output", output]
main()
"""
KNOWLEDGE_BASE = """
run, data, kb = sys.argv[1:]
for arguments, status in (
    (["kb", "build", run, "--entities", data + "/entities.jsonl", "--out", kb], 0),
    (["link", kb, "--text", "A red kite was seen", "--mention", "red kite", "--json"], 0),
    (["kb", "remove", kb, "Q0"], 2),
):
    sys.argv, left = ["melder", *arguments], 0
    try:
        main()
    except SystemExit as leaving:
        left = leaving.code or 0
    assert left == status, arguments
"""


def run_without(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCK + program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def test_every_command_explains_itself() -> None:
    explained = json.loads(run_without(HELP).stdout)
    assert {"", "train", "link", "serve", "kb build", "data flags"} <= set(explained)
    files = [path for path in (SOURCE / "cli").rglob("*.py") if "typer.Argument" in path.read_text(encoding="utf-8")]
    assert len(explained) >= len(files)


def test_everything_is_imported() -> None:
    names = [".".join(("melder", *path.relative_to(SOURCE).with_suffix("").parts)) for path in SOURCE.rglob("*.py")]
    modules = sorted(name.removesuffix(".__init__") for name in names if not name.endswith("__main__"))
    run_without(f"import importlib\nfor name in {modules!r}: importlib.import_module(name)")


def test_a_file_of_mentions_is_linked(small_run: Path, small_data: Path, tmp_path: Path) -> None:
    run_without(LINK, small_run, small_data, tmp_path / "links.jsonl")
    lines = (tmp_path / "links.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len((small_data / "test.jsonl").read_text(encoding="utf-8").splitlines())
    assert [path.name for path in tmp_path.iterdir()] == ["links.jsonl"]


def test_a_knowledge_base_is_built_and_read_and_a_change_is_refused_in_one_line(
    small_run: Path, small_data: Path, tmp_path: Path
) -> None:
    done = run_without(KNOWLEDGE_BASE, small_run, small_data, tmp_path / "kb")
    assert '"name": "Red kite"' in done.stdout or '"name":"Red kite"' in done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("melder: ")]
    assert "this system (Windows) cannot tell who reads a knowledge base" in line


def test_one_file_asks_for_each_of_them() -> None:
    importing: dict[str, list[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for name in {*names} & {*MISSING}:
                importing.setdefault(name, []).append(path.relative_to(SOURCE).as_posix())
    assert importing == {"fcntl": ["io/locks.py"], "resource": ["io/open_files.py"]}
