"""Options of several commands."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

__all__ = ["Candidates", "Changes", "EntityText", "Language", "TextField"]

Changes = Annotated[
    list[str],
    typer.Option("--set", help="A setting of the method instead of the run's, such as method.assignment=attention."),
]
Candidates = Annotated[
    str | None,
    typer.Option(
        "--candidates",
        help="Do not score every entity: certified (exact), or flat, hnsw, faiss:FACTORY, milvus:URI; "
        "see `melder kb index`.",
    ),
]
Language = Annotated[
    str | None,
    typer.Option(
        "--language", metavar="TAGS", help="Name entities in these languages, such as de,en: the first that one has."
    ),
]


class TextField(str, Enum):
    attr = "attr"
    desc = "desc"


EntityText = Annotated[TextField, typer.Option("--text-field", help="Of an entity's two texts in the layout mimic.")]
