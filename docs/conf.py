"""The documentation site: the pages of this folder, search, and an API reference made from docstrings.

`make docs` builds it with warnings as errors, into build/docs.
"""

from __future__ import annotations

from importlib.metadata import version as installed

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
autodoc_mock_imports = ["faiss", "usearch", "pymilvus", "ray", "spacy", "h5py", "rdflib"]
napoleon_numpy_docstring = False
default_role = "code"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure"]  # console blocks with prose in them
autodoc_inherit_docstrings = False  # Lightning's and PyTorch's own are in their documentation
