"""The PyPI client `reconciler` in an environment of its own, against `melder serve` on a small knowledge base."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from melder.building.build import build
from melder.data import EntityFile
from serving.test_command import Process

CLIENT = "reconciler==0.2.2"
PROGRAM = """
import sys
import pandas as pd
from reconciler import reconcile

names = pd.Series(["Red kite", "blue  kite", "Nobody at all"], name="names")
context = pd.Series(["A red kite was seen", "A blue kite was seen", ""])
told = {"top_res": 1, "reconciliation_endpoint": sys.argv[1]}
found = reconcile(names, **told)
with_context = reconcile(names, property_mapping={"context": context}, **told)
print(found.to_json(orient="records"))
print(with_context.to_json(orient="records"))
"""


@pytest.mark.skipif(
    not os.environ.get("MELDER_NETWORK_TESTS"),
    reason="installs a package from the index, which takes a minute; set MELDER_NETWORK_TESTS=1 to run it",
)
def test_a_column_is_reconciled_by_the_client_from_pypi(small_run: Path, small_data: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "client"], check=True)
    python = tmp_path / "client/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", CLIENT], check=True, timeout=600)
    source = EntityFile(small_data / "entities.jsonl")
    build(tmp_path / "kb", source, run=small_run, counting=lambda title, total: lambda done: None)
    running = Process(tmp_path / "kb")
    try:
        asked = [python, "-c", PROGRAM, f"{running.url}/reconcile"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=300)
    finally:
        running.process.kill()
        running.process.communicate()
    assert done.returncode == 0, done.stderr
    found, with_context = (json.loads(line) for line in done.stdout.splitlines()[-2:])
    best = {each["input_value"]: (each["name"], each["match"]) for each in found}
    assert best["Red kite"] == ("Red kite", True)
    assert best["blue  kite"] == ("Blue kite", True)
    assert best["Nobody at all"][1] is False
    assert {each["input_value"]: each["name"] for each in with_context}["Red kite"] == "Red kite"
