"""Every script and notebook of examples/ runs as it stands, and every one is known to this test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SHARED = {"countries.py"}  # what the others import
# Something that a script prints when all went well.
SAYS = {
    "link_from_a_table.py": ("then", "of the coins: guinea-coin"),
    "find_mentions.py": ("'Papua New Guinea' [3:19] -> PG", "'cavy' [88:92] -> guinea-pig"),
    "serve_and_ask.py": ('"guinea-coin"',),
    "train_and_evaluate.py": ("40 mentions, 170 candidates", "of names alone"),
    "learn_from_use.py": ("after GN: seen twice as 'Syli'",),
    "explain_a_link.py": ("6 candidates explained",),
}


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def test_no_example_is_forgotten() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS) | SHARED
    assert len(SAYS) >= 5
    assert len(list(EXAMPLES.glob("*.ipynb"))) >= 2


@pytest.mark.parametrize("name", sorted(SAYS))
def test_a_script_runs_and_prints_what_it_promises(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, timeout=600, env=_environment()
    )
    assert done.returncode == 0, done.stderr
    assert all(words in done.stdout for words in SAYS[name]), done.stdout


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "save notebooks without their output"
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    printed = [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any(printed)
