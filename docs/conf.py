"""The documentation site: the pages of this folder, search, and an API reference made from docstrings.

`make docs` builds it with warnings as errors, into build/docs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

project = "Melder"
author = "The Melder developers"
release = installed("melder")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Melder {release}"

autosummary_generate = True
autosummary_imported_members = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "separated"
# Extras that may be missing where the documentation is built; the rest is imported.
autodoc_mock_imports = [
    "faiss",
    "usearch",
    "pymilvus",
    "qdrant_client",
    "psycopg",
    "sqlalchemy",
    "ray",
    "spacy",
    "h5py",
    "rdflib",
]
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # or fields would be described twice
default_role = "code"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure"]  # console blocks with prose in them
autodoc_inherit_docstrings = False  # Lightning's and PyTorch's own are in their documentation


def _commands() -> str:
    """Every command with its options, as Markdown; examples, which help texts give as lines, in blocks."""
    done = subprocess.run(
        [sys.executable, "-m", "typer", "melder.cli", "utils", "docs", "--name", "melder", "--title", "Commands"],
        capture_output=True,
        text=True,
        check=True,
    )
    return re.sub(r"(?m)^((?:melder .*\n)+)", r"```console\n\1```\n", done.stdout).replace("&#x27;", "'")


def _write_commands(app: object) -> None:
    page = Path(__file__).parent / "api" / "commands.md"
    page.parent.mkdir(exist_ok=True)
    page.write_text(_commands(), encoding="utf-8")


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect("builder-inited", _write_commands)
