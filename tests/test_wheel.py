"""A wheel, installed without the checkout, does what the README says: data, a training, a knowledge base, a link.

Its environment sees the packages that this one has, so that nothing is fetched, but not Melder itself.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email import message_from_bytes
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
ASSETS = {".html", ".css", ".js", ".yaml", ".typed"}
RECIPE = {
    "data": {"directory": "flags"},
    "encoder": {"name": "clip:compact", "trained": True},
    "method": {"name": "clip"},
    "training": {"epochs": 0, "select_on": "dev"},
}


def call(*command: object, folder: Path) -> str:
    """What a command says, outside the checkout and without its paths."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=variables, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what the repository holds, in a copy: setuptools leaves its own files in the tree."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT / "src", folder / "tree/src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "tree")
    build = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder)
    call(*build, folder / "tree", folder=folder)
    (built,) = folder.glob("melder-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the commands of an environment that has the wheel, and this environment's other packages."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    others = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    for place in others:
        _show_all_but_melder(Path(place), own)
    python = folder / "venv/bin/python"
    install = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
    call(*install, folder=folder)
    return python.parent


def _show_all_but_melder(packages: Path, own: Path) -> None:
    """Links to what is installed: a path to the directory would let in an editable Melder's .pth file as well."""
    for path in packages.iterdir():
        if "melder" not in path.name.lower() and not (own / path.name).exists() and path.name != "__pycache__":
            (own / path.name).symlink_to(path)


def test_package_data_is_in_the_wheel(installed: Path, tmp_path: Path) -> None:
    program = "from importlib.resources import files; print(files('melder'))"
    place = Path(call(installed / "python", "-c", program, folder=tmp_path).strip())
    assert ROOT not in place.parents
    source = ROOT / "src/melder"
    assets = {path.relative_to(source) for path in source.rglob("*") if path.suffix in ASSETS}
    assert len({path.suffix for path in assets}) == len(ASSETS)
    assert {path.relative_to(place) for path in place.rglob("*") if path.suffix in ASSETS} == assets


@pytest.mark.slow
def test_what_is_installed_links(installed: Path, tmp_path: Path) -> None:
    melder = installed / "melder"
    assert "train" in call(melder, "--help", folder=tmp_path)
    call(melder, "data", "flags", "--out", "flags", folder=tmp_path)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    call(melder, "train", "recipe.yaml", "--out", "run", folder=tmp_path)
    call(melder, "kb", "build", "run", "--entities", "flags/entities.jsonl", "--out", "kb", folder=tmp_path)
    asked = ("link", "kb", "--text", "Guinea won the toss", "--mention", "Guinea", "--json")
    link = json.loads(call(melder, *asked, folder=tmp_path))
    assert "Guinea" in link["candidates"][0]["name"]


def test_all_that_is_imported_is_required(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        (metadata,) = [name for name in content.namelist() if name.endswith("/METADATA")]
        headers = message_from_bytes(content.read(metadata)).get_all("Requires-Dist", [])
    required = {_same(re.split(r"[^A-Za-z0-9._-]", header)[0]) for header in headers}
    providers = packages_distributions()
    missing = {name for name in _imported() if not {_same(provider) for provider in providers.get(name, [])} & required}
    assert missing == set()


def _same(name: str) -> str:
    """A distribution's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported() -> set[str]:
    """The first names of what the source imports beside the standard library."""
    names = set[str]()
    for path in (ROOT / "src/melder").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(str(node.module).split(".")[0])
    return names - sys.stdlib_module_names - {"melder"}
